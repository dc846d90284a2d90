-- Takes the oldest waiting messages of one user into this owner's claim.
--
-- KEYS     see offline_lib.lua
-- ARGV     1 owner, 2 number of the first message, 3 most messages, 4 most bytes (the first message of
--          a page may be larger), 5 lease in ms, 6 time to live in ms, 7 most messages of a user,
--          8 their bytes, 9 oldest message (accepted at, ms), 10 messages of the page before this call,
--          then pairs: first and last number of what this owner still has, be it not answered yet
-- Returns  { ms another owner's claim lasts still or 0, dropped since the last claim,
--            dropped by this call, 1 if a dead owner's claim was freed,
--            1 if it stopped because it dropped many,
--            then for each message: 1 if it is one of ours, envelope }
local me, base, limit, bytes_left = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local lease, ttl, per_user = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local most_bytes, oldest = tonumber(ARGV[8]), tonumber(ARGV[9])
local is_begun = tonumber(ARGV[10]) > 0

local owner, left, freed = holder(me)
if owner and owner ~= me then
  return { left, 0, 0, 0, 0 }
end

-- A call that was given up by its caller and carried out all the same has claimed what nobody knows
-- of. Numbers from `base` on are younger than this call's list.
local function is_abandoned(number)
  for at = 11, #ARGV, 2 do
    if number >= tonumber(ARGV[at]) and number <= tonumber(ARGV[at + 1]) then
      return false
    end
  end
  return number < base
end
if owner then
  put_back(take_claimed(claimed_numbers(is_abandoned)))
end
mend()

local n_dropped = trim(per_user) + trim_bytes(most_bytes)
local next_place = tonumber(redis.call('HGET', CLAIM, 'next') or (redis.call('LINDEX', BACK, 0) or 0) + 1)
local answer, n, n_expired = { 0, 0, 0, freed, 0 }, 0, 0
while n < limit and n_expired < MOST_EXPIRED do
  local oldest_bytes = #(redis.call('LINDEX', LIST, -1) or '')
  if (n > 0 or is_begun) and oldest_bytes > bytes_left then break end
  local envelope, place = take_oldest()
  if not envelope then break end
  local id, at, digest = ours(envelope)
  if id and at < oldest then
    redis.call('HDEL', KNOWN, id, digest or id)
    redis.call('INCR', DROPPED)
    n_dropped = n_dropped + 1
    n_expired = n_expired + 1
  else
    if not place then
      place = next_place
      next_place = next_place + 1
    end
    redis.call('HSET', CLAIM, whole(base + n), whole(place) .. ' ' .. envelope)
    n = n + 1
    bytes_left = bytes_left - #envelope
    answer[#answer + 1] = id and 1 or 0
    answer[#answer + 1] = envelope
  end
end
if n > 0 or owner then
  redis.call('HSET', CLAIM, 'owner', me, 'until', whole(now_ms() + lease), 'next', whole(next_place))
end
answer[2] = tonumber(redis.call('GET', DROPPED) or 0)
answer[3] = n_dropped
answer[5] = n_expired == MOST_EXPIRED and 1 or 0
redis.call('DEL', DROPPED)
tidy(ttl)
return answer
