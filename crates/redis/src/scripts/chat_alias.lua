-- Lets a tenant's own name of a session last longer, unless it stands for a newer session by now.
--
-- KEYS     1 the name: STRING with the session's key
-- ARGV     1 the session's key, 2 time to live in ms
-- Returns  1 if it stands for that session
local key = redis.call('GET', KEYS[1])
if key and key ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
