-- Tells a server that lost its data from one that did not.
--
-- KEYS     1 the epoch: STRING, kept for ever
-- ARGV     1 a value that was never used
-- Returns  the server's value, which is this one if there was none
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
