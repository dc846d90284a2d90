-- What the offline scripts share; stands before each of them.
--
-- KEYS, all in one slot:
--   1 list     LIST    the waiting envelopes, newest first (contract: others push and look here too)
--   2 known    HASH    event id -> "accepted-ms bytes" of every message of ours that waits or is
--                      claimed, and "=" .. sha1 -> event id where the envelope does not end with its id
--   3 claim    HASH    owner, until (ms by this server's clock), next (place), and for each claimed
--                      message its number -> "place envelope"
--   4 back     LIST    the places of messages that were given back: these stand last in the list, and
--                      a claimed one that comes back later must find its old place among them
--   5 dropped  STRING  how many were dropped since the last claim
--   6 bytes    STRING  the bytes in the list, as far as these scripts put them there and took them out
local LIST, KNOWN, CLAIM, BACK, DROPPED, BYTES = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]

-- Before anything is written: the list is the contract's, and anybody may have put something else in its place. A
-- script that failed in the midst would leave ids behind that no message has, or lose what it had taken out.
redis.call('LLEN', LIST)
redis.call('HLEN', KNOWN)
redis.call('HLEN', CLAIM)
redis.call('LLEN', BACK)
redis.call('STRLEN', DROPPED)
local n_bytes = tonumber(redis.call('GET', BYTES) or 0)

-- Fields of a claim that are no messages.
local HEADER = 3
-- An id of 64 characters with its name and the end of the envelope.
local TAIL_BYTES = 80
-- Most that one call drops over the bound: others may have pushed any number.
local MOST_DROPPED = 1000
-- Most that one claim drops because they are too old: meanwhile Redis does nothing else.
local MOST_EXPIRED = 500

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function whole(number)
  return string.format('%.0f', number)
end

local function id_at_end(envelope)
  return string.match(string.sub(envelope, -TAIL_BYTES), '"id":"([%w_.:-]+)"}$')
end

-- Of a message of ours: its id, when it was accepted, and the field by which alone it was found, if so.
local function ours(envelope)
  local id = id_at_end(envelope)
  local entry = id and redis.call('HGET', KNOWN, id)
  if entry then
    local at, bytes = string.match(entry, '^(%-?%d+) (%d+)$')
    if tonumber(bytes) == #envelope then
      return id, tonumber(at), nil
    end
  end
  local digest = '=' .. redis.sha1hex(envelope)
  id = redis.call('HGET', KNOWN, digest)
  entry = id and redis.call('HGET', KNOWN, id)
  if entry then
    return id, tonumber(string.match(entry, '^%-?%d+')), digest
  end
end

local function forget(envelope)
  local id, _, digest = ours(envelope)
  if id then
    redis.call('HDEL', KNOWN, id, digest or id)
  end
end

-- The oldest waiting envelope, and its place where it has one.
local function take_oldest()
  local envelope = redis.call('RPOP', LIST)
  local place = redis.call('RPOP', BACK)
  if envelope then
    n_bytes = n_bytes - #envelope
    return envelope, place and tonumber(place)
  end
end

local function n_claimed()
  return math.max(0, redis.call('HLEN', CLAIM) - HEADER)
end

-- Puts { place, envelope } pairs at the list's end, each in its old place among those that were put
-- back before.
local function put_back(messages)
  local newest = -1
  for _, message in ipairs(messages) do
    newest = math.max(newest, message[1])
  end
  local last = redis.call('LINDEX', BACK, -1)
  while last and tonumber(last) < newest do
    local envelope, place = take_oldest()
    if not envelope then break end
    messages[#messages + 1] = { place, envelope }
    last = redis.call('LINDEX', BACK, -1)
  end
  table.sort(messages, function(a, b) return a[1] > b[1] end)
  for _, message in ipairs(messages) do
    redis.call('RPUSH', LIST, message[2])
    n_bytes = n_bytes + #message[2]
    redis.call('RPUSH', BACK, whole(message[1]))
  end
end

-- Takes these numbers out of the claim: { place, envelope } pairs. Unknown numbers are no matter.
local function take_claimed(numbers)
  local messages = {}
  for _, number in ipairs(numbers) do
    local entry = redis.call('HGET', CLAIM, number)
    if entry then
      redis.call('HDEL', CLAIM, number)
      local gap = string.find(entry, ' ', 1, true)
      messages[#messages + 1] = { tonumber(string.sub(entry, 1, gap - 1)), string.sub(entry, gap + 1) }
    end
  end
  return messages
end

-- The claimed numbers that `is_meant` holds of.
local function claimed_numbers(is_meant)
  local numbers = {}
  for _, field in ipairs(redis.call('HKEYS', CLAIM)) do
    local number = tonumber(field)
    if number and is_meant(number) then
      numbers[#numbers + 1] = field
    end
  end
  return numbers
end

-- Whose claim it is and how long it lasts still, in ms. One whose time is over gives its messages back
-- first, unless it is `me`, who alone knows what became of them; then the last result is 1.
local function holder(me)
  local owner = redis.call('HGET', CLAIM, 'owner')
  if not owner then
    return nil, 0, 0
  end
  local left = tonumber(redis.call('HGET', CLAIM, 'until')) - now_ms()
  if owner == me or left > 0 then
    return owner, left, 0
  end
  put_back(take_claimed(claimed_numbers(function() return true end)))
  redis.call('DEL', CLAIM)
  return nil, 0, 1
end

-- Drops the oldest waiting messages over the bound, and counts them.
local function trim(limit)
  local over = redis.call('LLEN', LIST) + n_claimed() - limit
  local n_dropped = math.min(over, redis.call('LLEN', LIST), MOST_DROPPED)
  for _ = 1, n_dropped do
    forget((take_oldest()))
  end
  if n_dropped > 0 then
    redis.call('INCRBY', DROPPED, n_dropped)
  end
  return math.max(0, n_dropped)
end

-- Others push too, and take out: what the list takes of the server's memory says how far the number can be right.
-- That is never less than the bytes in it, and only as much more as the allocator rounds up.
local function check_bytes()
  local memory = redis.pcall('MEMORY', 'USAGE', LIST, 'SAMPLES', '0')
  if type(memory) == 'number' then
    n_bytes = math.max(math.min(n_bytes, memory), math.floor(memory * 3 / 4) - 4096)
  end
end

-- Drops the oldest waiting messages over the bound in bytes, but for one, and counts them.
local function trim_bytes(limit)
  local n_waiting, n_dropped = redis.call('LLEN', LIST), 0
  -- Of each message of ours an id is known.
  local has_foreign = n_waiting > redis.call('HLEN', KNOWN)
  if n_bytes > limit or has_foreign then
    check_bytes()
  end
  while n_bytes > limit and n_waiting > 1 and n_dropped < MOST_DROPPED do
    forget((take_oldest()))
    n_waiting = n_waiting - 1
    n_dropped = n_dropped + 1
  end
  if n_dropped > 0 then
    redis.call('INCRBY', DROPPED, n_dropped)
  end
  return n_dropped
end

-- Whoever empties or shortens the list by hand leaves things of ours behind that mean nothing any more.
local function mend()
  local n_waiting = redis.call('LLEN', LIST)
  if n_waiting == 0 then
    n_bytes = 0
    if n_claimed() == 0 then
      redis.call('DEL', KNOWN)
    end
  end
  if redis.call('LLEN', BACK) > n_waiting then
    redis.call('DEL', BACK)
  end
end

-- Leaves nothing behind that is of no use, and lets the rest end by itself.
local function tidy(ttl)
  if n_claimed() == 0 then
    redis.call('DEL', CLAIM)
  end
  mend()
  if n_bytes > 0 then
    redis.call('SET', BYTES, whole(n_bytes))
  else
    redis.call('DEL', BYTES)
  end
  for _, key in ipairs(KEYS) do
    redis.call('PEXPIRE', key, ttl)
  end
end
