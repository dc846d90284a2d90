-- Before the scripts that ask who holds leases.
--
-- leased(holders, prefix, users, except) returns a table: position in users -> true where a node
-- other than except holds a lease; one HMGET per node, however many users.
local function leased(holders, prefix, users, except)
  local found = {}
  if #users == 0 then
    redis.call('SCARD', holders)
    return found
  end
  for _, node in ipairs(redis.call('SMEMBERS', holders)) do
    if node ~= except then
      for position, n in ipairs(redis.call('HMGET', prefix .. node, unpack(users))) do
        if n then
          found[position] = true
        end
      end
    end
  end
  return found
end

