-- Before history_lib.lua, whose head says what the keys hold: the numbers of a history, and finding room in it.

-- A day, and an hour in which it is not renewed.
local HEAD_SECONDS = 90000
local HEAD_RENEWED_MS = 3600000
local SEPARATOR = '\30'

-- Of a history: the last offset, the bytes of all appended, when its stream expires and its head was renewed (ms); the
-- entries held, their events and bytes, a time (ms) before which none of them was appended, the last offset dropped;
-- of the opt-in types the events and bytes held, the last offset dropped, the numbers of the first entry and the next.
local NUMBERS = '<dddddddddddddd'

local function read_numbers(held)
  local a, b, c, d, e, f, g, h, i, j, k, l, m, n = struct.unpack(NUMBERS, held)
  return {
    offset = a, sum = b, expires = c, renewed = d, entries = e, n = f, bytes = g, oldest = h, gone = i,
    o_n = j, o_bytes = k, o_gone = l, o_first = m, o_next = n,
  }
end

local function write_numbers(s)
  return struct.pack(NUMBERS, s.offset, s.sum, s.expires, s.renewed, s.entries, s.n, s.bytes, s.oldest, s.gone,
    s.o_n, s.o_bytes, s.o_gone, s.o_first, s.o_next)
end

-- Whether one epoch is later than another.
local function is_later(one, other)
  return #one > #other or (#one == #other and one > other)
end

-- A stream that expired is as it should be, with nothing in it.
local function note_expired(state, fields)
  for number = state.o_first, state.o_next - 1 do
    fields[#fields + 1] = 'o:' .. number
  end
  state.gone, state.o_gone, state.o_first = state.offset, state.offset, state.o_next
  state.entries, state.n, state.bytes, state.o_n, state.o_bytes = 0, 0, 0, 0, 0
end

-- Finds what has to go so that the new entries find room: whole entries from the front until count, bytes and age hold,
-- and the oldest of the opt-in types until a quarter of count and bytes holds for them. Of the new ones themselves those
-- are not kept that are too many, the oldest. False when the stream is not as the head says.
local function make_room(history, head, stream, state, new, drops)
  local most, most_bytes, oldest = history.events, history.bytes, history.now - history.age
  local o_most, o_most_bytes = math.floor(most / 4), math.floor(most_bytes / 4)

  local function is_over()
    return state.n + new.n > most or state.bytes + new.bytes > most_bytes
  end

  local function is_over_opt_in()
    return state.o_n + new.o_n > o_most or state.o_bytes + new.o_bytes > o_most_bytes
  end

  local function forget(n, bytes)
    state.n, state.bytes, state.entries = state.n - n, state.bytes - bytes, state.entries - 1
  end

  local function forget_opt_in(last, n, bytes)
    state.o_n, state.o_bytes, state.o_gone = state.o_n - n, state.o_bytes - bytes, last
    drops.fields[#drops.fields + 1] = 'o:' .. state.o_first
    state.o_first = state.o_first + 1
  end

  -- One entry at the front goes, or is young enough to stay.
  local function drop(entry)
    local epoch, last = string.match(entry[1], '^(%d+)-(%d+)$')
    local is_opt_in = entry[2][1] == 'o'
    last = tonumber(last)
    if is_opt_in and last <= state.o_gone then
      return true -- It went already.
    end
    local first, bytes, time = string.match(entry[2][2], '^(%d+) %d+ (%d+) (%d+) ')
    if not first or epoch ~= state.epoch or last <= state.gone then
      return false
    end
    state.oldest = tonumber(time)
    if not is_over() and state.oldest >= oldest then
      return true
    end
    forget(last - first + 1, bytes)
    drops.front = last
    if is_opt_in then
      forget_opt_in(last, last - first + 1, bytes)
    else
      state.gone = last
    end
    return true
  end

  while state.o_first < state.o_next and is_over_opt_in() do
    local entry = redis.call('HGET', head, 'o:' .. state.o_first) or ''
    local last, n, bytes = string.match(entry, '^(%d+) (%d+) (%d+)$')
    if not last then
      return false
    end
    drops.middle[#drops.middle + 1] = state.epoch .. '-' .. last
    forget(n, bytes)
    forget_opt_in(tonumber(last), n, bytes)
  end

  local from, count = '-', 1
  history.touches = stream
  while state.entries > 0 and (is_over() or state.oldest < oldest) do
    local entries = redis.call('XRANGE', stream, from, '+', 'COUNT', count)
    for _, entry in ipairs(entries) do
      if (is_over() or state.oldest < oldest) and not drop(entry) then
        return false
      end
    end
    if #entries == 0 then
      return false
    end
    from, count = '(' .. entries[#entries][1], math.min(count * 2, 16)
  end
  history.touches = head

  local function skip(entry)
    entry.is_skipped = true
    new.n, new.bytes = new.n - entry.n, new.bytes - entry.bytes
    if entry.class == 'o' then
      new.o_n, new.o_bytes, state.o_gone = new.o_n - entry.n, new.o_bytes - entry.bytes, entry.last
    else
      state.gone = entry.last
    end
  end
  for _, entry in ipairs(new.entries) do
    if entry.class == 'o' and is_over_opt_in() then
      skip(entry)
    end
  end
  for _, entry in ipairs(new.entries) do
    if not entry.is_skipped and is_over() then
      skip(entry)
    end
  end
  return true
end

