-- Finds nodes whose lease expired, and marks them (with 0) so that they hear of it if they live.
-- Finds none while the asking node's own lease is half over: then Redis stood still for a while, and
-- others could not renew theirs either.
--
-- KEYS: 1 living nodes
-- ARGV: 1 asking node, 2 lease in milliseconds, 3 at most so many
-- Returns: { nodes... }
local present = now()
local own = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0)
if own - present < ARGV[2] / 2 then
  return {}
end
local lost = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. present, 'LIMIT', 0, ARGV[3])
for _, node in ipairs(lost) do
  redis.call('ZADD', KEYS[1], 0, node)
end
return lost
