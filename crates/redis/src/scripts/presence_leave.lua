-- Ends leases of one node in one tenant, and tells who went. Without a lease nothing is done, so a
-- second call, or two nodes that sweep a third, tell nothing twice.
--
-- Everything is read before anything is written: a key of the wrong type leaves all as it was.
--
-- KEYS: 1 the node's leases, 2 holders, 3 online set
-- ARGV: 1 node, 2 what the names of all nodes' leases begin with, 3 era, or 'swept' when another
--       node does it, 4 '1' when the node knows that it was swept, 5 channel, 6 '1' for users only who are
--       held (see held.lua), then for each user: id, announcement ('' for none)
-- Returns: { verdict of the fence, users that the node still holds, users who went offline... }
local leases, holders, online = KEYS[1], KEYS[2], KEYS[3]
local held, announcements = {}, {}
for i = 7, #ARGV, 2 do
  local n = redis.call('HGET', leases, ARGV[i])
  if n and (ARGV[6] ~= '1' or tonumber(n) < 0) then
    held[#held + 1] = ARGV[i]
    announcements[#held] = ARGV[i + 1]
  end
end
local elsewhere = leased(holders, ARGV[2], held, ARGV[1])
local is_online = {}
for position, user in ipairs(held) do
  is_online[position] = redis.call('SISMEMBER', online, user) == 1
end
redis.call('SCARD', online)

local verdict = 'done'
if redis.call('HEXISTS', leases, '#era') == 0 and ARGV[3] ~= 'swept' then
  return { 'fresh', '0' }
elseif ARGV[3] ~= 'swept' then
  verdict = fence(leases, ARGV[3], ARGV[4])
  if verdict == 'stale' or verdict == 'swept' then
    return { verdict, '0' }
  end
elseif redis.call('EXISTS', leases) == 1 then
  redis.call('HSET', leases, '#era', 'swept')
end

local answer = { verdict, '0' }
for position, user in ipairs(held) do
  if not elsewhere[position] and is_online[position] then
    answer[#answer + 1] = user
    if announcements[position] ~= '' then
      redis.call('PUBLISH', ARGV[5], announcements[position])
    end
    redis.call('SREM', online, user)
  end
  redis.call('HDEL', leases, user)
end
local left = redis.call('HLEN', leases) - redis.call('HEXISTS', leases, '#era')
if left == 0 then
  redis.call('SREM', holders, ARGV[1])
  redis.call('EXPIRE', leases, 86400)
end
answer[2] = tostring(left)
return answer
