-- Makes a chat session known, or renews it for its owner.
--
-- KEYS     1 the session: HASH of tenant, alias ("" for none), last_active (ms), silence (ms after
--            which it counts as unknown)
-- ARGV     1 tenant, 2 alias, 3 last active (ms), 4 silence in ms
-- Returns  1, or 0 when it is another tenant's and was active within the silence
local tenant, active = unpack(redis.call('HMGET', KEYS[1], 'tenant', 'last_active'))
if tenant and tenant ~= ARGV[1] and tonumber(active) >= tonumber(ARGV[3]) - tonumber(ARGV[4]) then
  return 0
end
redis.call('HSET', KEYS[1], 'tenant', ARGV[1], 'alias', ARGV[2], 'last_active', ARGV[3], 'silence', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
