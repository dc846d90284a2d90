-- Lets this owner's claim of one user's messages last longer.
--
-- KEYS     1 the claim, see offline_lib.lua
-- ARGV     1 owner, 2 lease in ms, 3 time to live in ms
-- Returns  1 if there is one
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then
  return 0
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('HSET', KEYS[1], 'until', string.format('%.0f', now + tonumber(ARGV[2])))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
