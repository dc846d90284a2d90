-- Makes or renews leases of one node in one tenant, and tells who came.
--
-- Everything is read before anything is written: a key of the wrong type leaves all as it was.
--
-- KEYS: 1 the node's leases, 2 holders, 3 online set
-- ARGV: 1 node, 2 era, 3 '1' when the node knows that it was swept, 4 channel,
--       then for each user: id, connections, announcement ('' for none)
-- Returns: { verdict of the fence, number of users who were not online }
local leases, holders, online = KEYS[1], KEYS[2], KEYS[3]
redis.call('SCARD', holders)
redis.call('SCARD', online)
local verdict = fence(leases, ARGV[2], ARGV[3])
if verdict == 'stale' or verdict == 'swept' then
  return { verdict, '0' }
end
redis.call('PERSIST', leases)
redis.call('SADD', holders, ARGV[1])
local came = 0
for i = 5, #ARGV, 3 do
  if redis.call('SISMEMBER', online, ARGV[i]) == 0 then
    came = came + 1
    if ARGV[i + 2] ~= '' then
      redis.call('PUBLISH', ARGV[4], ARGV[i + 2])
    end
    redis.call('SADD', online, ARGV[i])
  end
  redis.call('HSET', leases, ARGV[i], ARGV[i + 1])
end
return { verdict, tostring(came) }
