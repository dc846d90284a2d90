-- Puts a chat session back that the server has lost.
--
-- KEYS     1 the session, see chat_start.lua
-- ARGV     1 tenant, 2 alias, 3 last active (ms), 4 silence in ms, 5 what is left of it
-- Returns  1 if it belongs to this tenant now
local tenant = redis.call('HGET', KEYS[1], 'tenant')
if tenant then
  return tenant == ARGV[1] and 1 or 0
end
redis.call('HSET', KEYS[1], 'tenant', ARGV[1], 'alias', ARGV[2], 'last_active', ARGV[3], 'silence', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1
