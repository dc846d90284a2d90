-- Notes the last activity of a chat session; an unknown one stays unknown.
--
-- KEYS     1 the session, see chat_start.lua
-- ARGV     1 last active (ms)
-- Returns  { tenant, alias, silence }, or nothing of an unknown session
local tenant, alias, active, silence = unpack(redis.call('HMGET', KEYS[1], 'tenant', 'alias', 'last_active', 'silence'))
if not tenant then
  return {}
end
if tonumber(ARGV[1]) > tonumber(active) then
  redis.call('HSET', KEYS[1], 'last_active', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], silence)
end
return { tenant, alias, silence }
