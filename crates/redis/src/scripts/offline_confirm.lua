-- Forgets messages that this owner has claimed; other numbers are no matter.
--
-- KEYS     see offline_lib.lua
-- ARGV     1 owner, 2 time to live in ms, then the numbers
-- Returns  how many it was
if redis.call('HGET', CLAIM, 'owner') ~= ARGV[1] then
  return 0
end
local messages = take_claimed({ unpack(ARGV, 3) })
for _, message in ipairs(messages) do
  forget(message[2])
end
tidy(ARGV[2])
return #messages
