-- Does what the other scripts do, to a key of its own, which is gone at the end.
--
-- KEYS     1 the key
-- Returns  1
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('DEL', KEYS[1])
end
-- The first write is one that takes memory: a server that has none refuses no later one.
redis.call('HSET', KEYS[1], 'field', '1')
redis.call('HGET', KEYS[1], 'field')
redis.call('HDEL', KEYS[1], 'field')
redis.call('SADD', KEYS[1], '1')
redis.call('SREM', KEYS[1], '1')
redis.call('ZADD', KEYS[1], 1, '1')
redis.call('ZREM', KEYS[1], '1')
redis.call('LPUSH', KEYS[1], '1')
redis.call('RPOP', KEYS[1])
redis.call('SET', KEYS[1], '1', 'PX', 1000)
redis.call('DEL', KEYS[1])
return 1
