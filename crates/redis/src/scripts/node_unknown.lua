-- Which of these nodes are not among the living, nor lost and waiting to be swept. None while the
-- asking node's own lease is half over, as in node_lost.lua.
--
-- KEYS: 1 living nodes
-- ARGV: 1 asking node, 2 lease in milliseconds, then nodes
-- Returns: { nodes... }
local own = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0)
local unknown = {}
if own - now() < ARGV[2] / 2 then
  return unknown
end
for i = 3, #ARGV do
  if not redis.call('ZSCORE', KEYS[1], ARGV[i]) then
    unknown[#unknown + 1] = ARGV[i]
  end
end
return unknown
