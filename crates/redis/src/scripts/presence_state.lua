-- What the online set's slot knows of one user.
--
-- KEYS: 1 online set, 2 holders
-- ARGV: 1 what the names of all nodes' leases begin with, 2 user
-- Returns: { '1' when online, else '0', then for each node that holds a lease: node, connections }
local answer = { tostring(redis.call('SISMEMBER', KEYS[1], ARGV[2])) }
for _, node in ipairs(redis.call('SMEMBERS', KEYS[2])) do
  local n = redis.call('HGET', ARGV[1] .. node, ARGV[2])
  if n then
    answer[#answer + 1] = node
    answer[#answer + 1] = n
  end
end
return answer
