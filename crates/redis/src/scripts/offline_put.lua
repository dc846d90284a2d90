-- Keeps messages of one user, in order; those whose id waits or is claimed already are left out.
--
-- KEYS     see offline_lib.lua
-- ARGV     1 most messages of a user, 2 their bytes, 3 time to live in ms,
--          then for each message: event id, accepted at (ms), envelope
-- Returns  { how many were kept, how many dropped over the bound, 1 if a dead owner's claim was freed }
local limit, most_bytes, ttl = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local _, _, freed = holder(nil)
mend()
local n_kept, n_dropped = 0, 0
for at = 4, #ARGV, 3 do
  local id, envelope = ARGV[at], ARGV[at + 2]
  if redis.call('HSETNX', KNOWN, id, ARGV[at + 1] .. ' ' .. #envelope) == 1 then
    if id_at_end(envelope) ~= id then
      redis.call('HSET', KNOWN, '=' .. redis.sha1hex(envelope), id)
    end
    redis.call('LPUSH', LIST, envelope)
    n_bytes = n_bytes + #envelope
    n_kept = n_kept + 1
    n_dropped = n_dropped + trim(limit)
  end
end
n_dropped = n_dropped + trim_bytes(most_bytes)
tidy(ttl)
return { n_kept, n_dropped, freed }
