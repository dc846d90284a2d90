-- Reads a tenant's recent history behind a position, whole entries, up to a bound; at least one, if there is one. See
-- history_lib.lua for what the keys hold.
--
-- KEYS     1 head, 2 stream
-- ARGV     1 epoch, 2 offset of the position, 3 most events, 4 most bytes
-- Returns  {} without a history
--          { epoch, offset, run } of the head when it is another epoch, or the position is beyond it
--          { epoch, offset, run, last offset dropped, the same of the opt-in types, last offset that was looked at,
--            entries... }
local values = redis.call('HMGET', KEYS[1], 'epoch', 'offset', 'run', 'held')
local epoch, offset = values[1], tonumber(values[2] or '')
if not epoch or not offset then
  return {}
end
local after, most, most_bytes = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if epoch ~= ARGV[1] or after > offset then
  return { epoch, values[2], values[3] or '' }
end
local gone, o_gone = values[2], values[2]
-- A stream that is not there has expired, or somebody emptied it.
if redis.call('XLEN', KEYS[2]) > 0 and values[4] and #values[4] == 112 then
  local numbers = { struct.unpack('<dddddddddddddd', values[4]) }
  gone, o_gone = string.format('%d', numbers[9]), string.format('%d', numbers[12])
end
local answer = { epoch, values[2], values[3] or '', gone, o_gone, values[2] }
local from, n, bytes, count = epoch .. string.format('-%d', after + 1), 0, 0, 4
while true do
  local entries = redis.call('XRANGE', KEYS[2], from, epoch .. '-' .. values[2], 'COUNT', count)
  for _, entry in ipairs(entries) do
    local last = tonumber(string.match(entry[1], '%-(%d+)$'))
    local first, own = string.match(entry[2][2], '^(%d+) %d+ (%d+) ')
    if first then
      if n > 0 and (n + last - first + 1 > most or bytes + own > most_bytes) then
        return answer
      end
      n, bytes = n + last - first + 1, bytes + own
      answer[#answer + 1], answer[6] = entry, string.format('%d', last)
    end
  end
  if #entries < count then
    answer[6] = values[2]
    return answer
  end
  from, count = '(' .. entries[#entries][1], 16
end
