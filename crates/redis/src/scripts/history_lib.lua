-- After history_numbers.lua, and before the scripts that append to the recent history of tenants:
-- append(history, args, at, head, stream).
--
-- head    HASH: epoch, offset and run (the last position, and the server it was given on), bytes (of all that was
--         appended in this epoch), held (see NUMBERS), 'node:<node>' (the node's last batch: sequence, epoch, first and
--         last offset, time), 'o:<n>' (the n-th entry of opt-in types, while it is held: last offset, events, bytes)
-- stream  STREAM: an entry's id is <epoch>-<offset of its last event>. Its first field is 'e', or 'o' where its events
--         are of opt-in types, with: first offset, running bytes, own bytes, time (ms), sequence, node, and a letter for
--         each event; its second 'v' with the envelopes as they were published, between them a byte that no JSON has.
--
-- An epoch has more digits than a number of Lua holds, so it stays text. Everything is read before anything is written,
-- and the first write is one that takes memory: what Redis refuses has changed nothing. What is not needed each time is
-- inside a function, so that it is not made each time: that is a third of what a call costs.

-- Fields of the head that are of no use any more: of nodes that have not appended for a day, and, when an epoch begins,
-- of entries.
local function useless_fields(head, begins, now)
  local all, fields = redis.call('HGETALL', head), {}
  for place = 1, #all, 2 do
    local name = all[place]
    local time = string.sub(name, 1, 5) == 'node:' and tonumber(string.match(all[place + 1], ' (%d+)$') or 0)
    if (time and time < now - 86400000) or (begins and string.sub(name, 1, 2) == 'o:') then
      fields[#fields + 1] = name
    end
  end
  return fields
end

-- The state of a new epoch: it is the server's time and three digits of the caller's, and later than all that is known.
local function begin_epoch(history, stream, known, random)
  -- The next later one.
  local function after(epoch)
    local high, low = string.match(epoch, '^(%d-)(%d?%d?%d?%d?%d?%d?%d?%d?%d)$')
    if low ~= '999999999' then
      local next_low = string.format('%d', tonumber(low) + 1)
      return high .. string.rep('0', #low - #next_low) .. next_low
    end
    return string.format('%d', (tonumber(high) or 0) + 1) .. '000000000'
  end

  history.touches = stream
  if redis.call('EXISTS', stream) == 1 then
    local info = redis.call('XINFO', 'STREAM', stream)
    for place = 1, #info, 2 do
      if info[place] == 'last-generated-id' then
        known[#known + 1] = string.match(info[place + 1], '^%d+')
      end
    end
  end
  local epoch = history.micros .. random
  for _, other in ipairs(known) do
    if not is_later(epoch, other) then
      epoch = after(other)
    end
  end
  return {
    epoch = epoch, offset = 0, sum = 0, expires = 0, renewed = 0, entries = 0, n = 0, bytes = 0, oldest = 0, gone = 0,
    o_n = 0, o_bytes = 0, o_gone = 0, o_first = 0, o_next = 0, begins = true,
  }
end

-- Writes the positions into the envelopes of one entry.
local function join(args, entry, epoch)
  local before, messages = ',"position":"' .. epoch .. ':', {}
  for number = 1, entry.n do
    local body = args[entry.at + 2 * number - 2]
    messages[number] = string.sub(body, 1, -2) .. before .. string.format('%d', entry.first + number - 1) .. '"}'
  end
  return messages
end

-- Publishes the events of the entries. Goes on behind one that is refused, and gives the last answer and its channel.
local function publish(command, args, entries)
  local call, refused, channel = redis.call, '', ''
  local entry_number, number = 1, 0
  local function go_on()
    for at_entry = entry_number, #entries do
      local entry = entries[at_entry]
      local messages, from = entry.messages, entry.at - 2
      entry_number = at_entry
      for at_event = number + 1, entry.n do
        number, channel = at_event, args[from + 2 * at_event + 1]
        if channel ~= '' then
          call(command, channel, messages and messages[at_event] or args[from + 2 * at_event])
        end
      end
      number = 0
    end
  end
  local where = ''
  repeat
    -- One for all, and not one for each: a check costs as much as a tenth of publishing.
    local is_done, answer = pcall(go_on)
    if not is_done then
      refused, where = type(answer) == 'table' and answer.err or tostring(answer), channel
    end
  until is_done
  return refused, where
end

-- Appends to the state as it is, or that begins. Nil when the stream is not as the head says, and nothing was written.
local function write(history, args, at, head, stream, state, fields)
  local mode, sequence, offset = args[at], args[at + 2], state.offset
  local entries, new = {}, { n = 0, bytes = 0, o_n = 0, o_bytes = 0 }
  local place = at + 6
  for number = 1, tonumber(args[at + 5]) do
    local entry = { class = args[place], n = tonumber(args[place + 1]), bytes = tonumber(args[place + 2]) }
    entry.letters, entry.record, entry.at = args[place + 3], args[place + 4], place + 5
    entry.first, offset = offset + 1, offset + entry.n
    entry.last, entries[number], place = offset, entry, entry.at + 2 * entry.n
    new.n, new.bytes = new.n + entry.n, new.bytes + entry.bytes
    if entry.class == 'o' then
      new.o_n, new.o_bytes = new.o_n + entry.n, new.o_bytes + entry.bytes
    end
  end
  new.entries = entries
  local drops = { middle = {}, fields = fields }
  local is_tight = state.n + new.n > history.events or state.bytes + new.bytes > history.bytes
  if is_tight or new.o_n > 0 or (state.entries > 0 and state.oldest < history.now - history.age) then
    if not make_room(history, head, stream, state, new, drops) then
      return nil
    end
  end
  if state.begins then
    for _, field in ipairs(useless_fields(head, true, history.now)) do
      fields[#fields + 1] = field
    end
  end

  history.touches = stream
  local set, n_set, is_first, epoch = {}, 0, true, state.epoch
  for _, entry in ipairs(entries) do
    local record = entry.record
    if mode == 'join' then
      entry.messages = join(args, entry, epoch)
      record = table.concat(entry.messages, SEPARATOR)
    elseif record == '' then
      record = args[entry.at]
    end
    state.sum = state.sum + entry.bytes
    if not entry.is_skipped then
      local header = string.format('%d %d %d %d %s %s %s', entry.first, state.sum, entry.bytes, history.now, sequence,
        history.node, entry.letters)
      local id = epoch .. string.format('-%d', entry.last)
      local added = redis.pcall('XADD', stream, id, entry.class, header, 'v', record)
      if type(added) == 'table' and added.err then
        if is_first and string.find(added.err, 'equal or smaller', 1, true) then
          return nil
        end
        error(added)
      end
      is_first = false
      if state.entries == 0 then
        state.oldest = history.now
      end
      state.n, state.bytes, state.entries = state.n + entry.n, state.bytes + entry.bytes, state.entries + 1
      if entry.class == 'o' then
        state.o_n, state.o_bytes = state.o_n + entry.n, state.o_bytes + entry.bytes
        set[n_set + 1] = 'o:' .. state.o_next
        set[n_set + 2] = string.format('%d %d %d', entry.last, entry.n, entry.bytes)
        state.o_next, n_set = state.o_next + 1, n_set + 2
      end
    end
  end
  if state.begins then
    redis.call('XTRIM', stream, 'MINID', epoch .. '-0')
  elseif drops.front then
    redis.call('XTRIM', stream, 'MINID', epoch .. string.format('-%d', drops.front + 1))
  end
  if #drops.middle > 0 then
    redis.call('XDEL', stream, unpack(drops.middle))
  end
  redis.call('PEXPIRE', stream, history.age)

  history.touches = head
  local first, last = string.format('%d', state.offset + 1), string.format('%d', offset)
  state.offset, state.expires = offset, history.now + history.age
  local is_due = state.renewed < history.now - HEAD_RENEWED_MS
  if is_due then
    state.renewed = history.now
  end
  -- Before the others are set: a new epoch numbers its entries anew.
  for begin = 1, #fields, 1000 do
    redis.call('HDEL', head, unpack(fields, begin, math.min(begin + 999, #fields)))
  end
  if state.begins then
    set[n_set + 1], set[n_set + 2], set[n_set + 3], set[n_set + 4] = 'epoch', epoch, 'run', history.run
    n_set = n_set + 4
  end
  if sequence ~= '0' then
    set[n_set + 1] = history.field
    set[n_set + 2] = sequence .. ' ' .. epoch .. ' ' .. first .. ' ' .. last .. string.format(' %d', history.now)
  end
  redis.call('HSET', head, 'offset', last, 'bytes', string.format('%d', state.sum), 'held', write_numbers(state),
    unpack(set))
  if is_due then
    redis.call('EXPIRE', head, HEAD_SECONDS)
  end

  local refused, where = publish(history.publish, args, entries)
  return { 'done', epoch, first, last, refused, where }
end

-- Appends one batch of one tenant.
--
-- history  node, field ('node:<node>'), run, publish (the command), events, bytes, age (ms): the bounds; now (ms),
--          micros; touches: is set to the key that is worked on
-- args     from at: 'ready' when the envelopes have their positions, which follow those that the caller has seen, 'join'
--          when they are to be written in; three digits; the batch's sequence, '0' for none; epoch and offset that the
--          caller has seen, or '0'; the number of entries, then for each: 'e' or 'o', events, bytes, a letter for each
--          event, the ready envelopes as they are to be held ('' for a single one), and for each event: envelope,
--          channel ('' for none)
-- Returns  { 'done', epoch, first, last offset, error of publishing or '', its channel }
--          { 'again', epoch, first, last }  the batch is there already
--          { 'past' }                       so is a later one of the node
--          { 'head', epoch, offset }        not ready: others have appended
--          { 'join' }                       not ready: a new epoch begins
local function append(history, args, at, head, stream)
  history.touches = head
  local values = redis.call('HMGET', head, 'epoch', 'offset', 'run', 'held', history.field)
  local epoch, held, before = values[1], values[4], values[5]
  local seen_epoch, seen_offset, sequence = args[at + 3], args[at + 4], args[at + 2]
  local is_at_head = epoch == seen_epoch and values[2] == seen_offset
  local state, fields = nil, {}
  if epoch and held and #held == 112 and values[3] == history.run then
    state = read_numbers(held)
    state.epoch = epoch
    history.touches = stream
    local length = redis.call('XLEN', stream)
    if length == 0 and state.entries > 0 and history.now >= state.expires - 1000 then
      note_expired(state, fields)
    end
    local is_behind = is_later(seen_epoch, epoch) or (seen_epoch == epoch and tonumber(seen_offset) > state.offset)
    if length ~= state.entries or (is_behind and not is_at_head) then
      state = nil
    end
  end
  if before and sequence ~= '0' then
    local last_sequence, of, first, last = string.match(before, '^(%d+) (%d+) (%d+) (%d+)')
    if tonumber(last_sequence) > tonumber(sequence) then
      return { 'past' }
    elseif last_sequence == sequence and state and of == epoch then
      return { 'again', epoch, first, last }
    end
  end
  if state and (is_at_head or args[at] == 'join') then
    if not before and redis.call('HLEN', head) > state.o_next - state.o_first + 64 then
      fields = useless_fields(head, false, history.now)
    end
    local answer = write(history, args, at, head, stream, state, fields)
    if answer then
      return answer
    end
  elseif state then
    return { 'head', epoch, values[2] }
  end
  if args[at] ~= 'join' then
    return { 'join' }
  end
  local known = { seen_epoch }
  if epoch and string.find(epoch, '^%d+$') then
    known[2] = epoch
  end
  return write(history, args, at, head, stream, begin_epoch(history, stream, known, args[at + 1]), {})
end

-- The settings of a call, and the time.
local function history_of(node, run, publish, events, bytes, age)
  local time = redis.call('TIME')
  return {
    node = node, field = 'node:' .. node, run = run, publish = publish,
    events = tonumber(events), bytes = tonumber(bytes), age = tonumber(age),
    now = time[1] * 1000 + math.floor(time[2] / 1000), micros = time[1] .. string.format('%06d', time[2]),
  }
end

