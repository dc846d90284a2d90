-- Writes into this owner's claim what foreign envelopes lacked, so that they have the same id and time
-- also if they are given back.
--
-- KEYS     see offline_lib.lua
-- ARGV     1 owner, then for each message: number, envelope
-- Returns  how many it was
if redis.call('HGET', CLAIM, 'owner') ~= ARGV[1] then
  return 0
end
local n = 0
for at = 2, #ARGV, 2 do
  for _, message in ipairs(take_claimed({ ARGV[at] })) do
    redis.call('HSET', CLAIM, ARGV[at], whole(message[1]) .. ' ' .. ARGV[at + 1])
    n = n + 1
  end
end
return n
