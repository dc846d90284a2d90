-- Before the scripts that look at nodes: now(), the server's own time in milliseconds, which is the
-- same for all nodes.
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

