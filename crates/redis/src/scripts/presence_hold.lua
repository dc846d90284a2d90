-- Holds users whom a node has sent elsewhere: its leases for them stay, with the number of connections that are
-- expected back in place of those that are here, negative.
--
-- Everything is read before anything is written: a key of the wrong type leaves all as it was.
--
-- KEYS: 1 the node's leases
-- ARGV: 1 era, 2 '1' when the node knows that it was swept, then for each user: id, connections sent away
-- Returns: the verdict of the fence
local leases = KEYS[1]
local held = {}
for i = 3, #ARGV, 2 do
  if redis.call('HEXISTS', leases, ARGV[i]) == 1 then
    held[#held + 1] = ARGV[i]
    held[#held + 1] = '-' .. ARGV[i + 1]
  end
end
if redis.call('HEXISTS', leases, '#era') == 0 then
  return 'fresh'
end
local verdict = fence(leases, ARGV[1], ARGV[2])
if verdict == 'stale' or verdict == 'swept' then
  return verdict
end
if #held > 0 then
  redis.call('HSET', leases, unpack(held))
end
return verdict
