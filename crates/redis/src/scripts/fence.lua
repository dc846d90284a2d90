-- Before the scripts by which a node writes its own leases: whether a call may still be carried out.
--
-- The field '#era' of the leases (no user is called so) holds the number of the node's way to Redis,
-- so that a command which was stuck on an earlier one is refused, or 'swept' when others took the
-- node for lost. It outlives the leases by a day, so that leases which the node itself ended differ
-- from such as a store that came back empty has lost.
--
-- fence(leases, era, acknowledged) returns 'stale' or 'swept' (refused), 'fresh' (no era was there)
-- or 'done'; acknowledged is '1' when the node knows that it was swept.
local function fence(leases, era, acknowledged)
  local stored = redis.call('HGET', leases, '#era')
  if stored == 'swept' then
    if acknowledged ~= '1' then
      return 'swept'
    end
  elseif stored and tonumber(stored) > tonumber(era) then
    return 'stale'
  end
  if stored ~= era then
    redis.call('HSET', leases, '#era', era)
  end
  return stored and 'done' or 'fresh'
end

