-- Makes or renews leases of one node in one tenant, and tells who came. Who came back from a node that sent him
-- here is not told, for he was held there; that is over then.
--
-- Everything is read before anything is written: a key of the wrong type leaves all as it was.
--
-- KEYS: 1 the node's leases, 2 holders, 3 online set
-- ARGV: 1 node, 2 what the names of all nodes' leases begin with, 3 era, 4 '1' when the node knows that it was
--       swept, 5 channel, then for each user: id, connections, announcement ('' for none)
-- Returns: { verdict of the fence, number of users who were not online }
local leases, holders, online = KEYS[1], KEYS[2], KEYS[3]
redis.call('SCARD', holders)
local users, numbers = {}, {}
for i = 6, #ARGV, 3 do
  if redis.call('SISMEMBER', online, ARGV[i]) == 1 then
    local more = ARGV[i + 1] - math.max(redis.call('HGET', leases, ARGV[i]) or 0, 0)
    if more > 0 then
      users[#users + 1] = ARGV[i]
      numbers[#users] = more
    end
  end
end
local used = returns(holders, ARGV[2], ARGV[1], users, numbers)
local verdict = fence(leases, ARGV[3], ARGV[4])
if verdict == 'stale' or verdict == 'swept' then
  return { verdict, '0' }
end
redis.call('PERSIST', leases)
redis.call('SADD', holders, ARGV[1])
local came = 0
for i = 6, #ARGV, 3 do
  if redis.call('SISMEMBER', online, ARGV[i]) == 0 then
    came = came + 1
    if ARGV[i + 2] ~= '' then
      redis.call('PUBLISH', ARGV[5], ARGV[i + 2])
    end
    redis.call('SADD', online, ARGV[i])
  end
  redis.call('HSET', leases, ARGV[i], ARGV[i + 1])
end
for _, lease in ipairs(used) do
  if lease[3] > 0 then
    redis.call('HSET', lease[1], lease[2], -lease[3])
  else
    redis.call('HDEL', lease[1], lease[2])
  end
end
return { verdict, tostring(came) }
