-- Forgets a node that was swept, unless it has come back meanwhile.
--
-- KEYS: 1 living nodes
-- ARGV: 1 node
-- Returns: 1 when it is forgotten, else 0
if tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 1) == 0 then
  return redis.call('ZREM', KEYS[1], ARGV[1])
end
return 0
