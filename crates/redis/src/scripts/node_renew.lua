-- Says that a node is alive.
--
-- KEYS: 1 living nodes
-- ARGV: 1 node, 2 lease in milliseconds
-- Returns: 'kept'; 'late' when the lease had expired; 'unknown' when the node was not there, or others
--          have begun to sweep it
local present = now()
local until_when = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0)
redis.call('ZADD', KEYS[1], present + ARGV[2], ARGV[1])
if until_when == 0 then
  return 'unknown'
end
return until_when < present and 'late' or 'kept'
