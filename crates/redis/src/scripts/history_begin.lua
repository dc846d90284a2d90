-- Begins the recent history of a tenant that has none: the place behind which its first event will stand. See
-- history_lib.lua.
--
-- KEYS     1 head, 2 stream
-- ARGV     1 node, 2 the server's run id, 3 three digits, 4 epoch that the caller has seen, or '0'
-- Returns  { epoch, offset } of the head, whoever has begun it
local history = history_of(ARGV[1], ARGV[2], '', '0', '0', '0')
local values = redis.call('HMGET', KEYS[1], 'epoch', 'offset')
if values[1] and values[2] then
  return values
end
local state = begin_epoch(history, KEYS[2], { ARGV[4] }, ARGV[3])
redis.call('HSET', KEYS[1], 'epoch', state.epoch, 'offset', '0', 'run', history.run, 'bytes', '0', 'held',
  write_numbers(state))
redis.call('EXPIRE', KEYS[1], HEAD_SECONDS)
redis.call('DEL', KEYS[2])
return { state.epoch, '0' }
