-- Before the script by which a node says who came.
--
-- A lease with a negative number belongs to a node that sent so many connections of the user elsewhere, and is
-- held until they are back. returns(holders, prefix, me, users, numbers) tells which leases of other nodes are used
-- up when so many connections of these users come to me: a list of { leases, user, what is left }.
local function returns(holders, prefix, me, users, numbers)
  local used = {}
  if #users == 0 then
    return used
  end
  for _, node in ipairs(redis.call('SMEMBERS', holders)) do
    if node ~= me then
      for position, n in ipairs(redis.call('HMGET', prefix .. node, unpack(users))) do
        local waiting = n and -tonumber(n) or 0
        if waiting > 0 and numbers[position] > 0 then
          local back = math.min(waiting, numbers[position])
          numbers[position] = numbers[position] - back
          used[#used + 1] = { prefix .. node, users[position], waiting - back }
        end
      end
    end
  end
  return used
end

