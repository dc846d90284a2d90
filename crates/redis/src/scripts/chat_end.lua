-- Forgets a chat session of this tenant.
--
-- KEYS     1 the session, see chat_start.lua
-- ARGV     1 tenant
-- Returns  1 if there was one
if redis.call('HGET', KEYS[1], 'tenant') ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])
