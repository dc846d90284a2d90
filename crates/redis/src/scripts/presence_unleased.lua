-- Which of these users no node vouches for.
--
-- KEYS: 1 holders
-- ARGV: 1 what the names of all nodes' leases begin with, then users
-- Returns: { users without any lease... }
local users, answer = {}, {}
for i = 2, #ARGV do
  users[#users + 1] = ARGV[i]
end
local held = leased(KEYS[1], ARGV[1], users, '')
for position, user in ipairs(users) do
  if not held[position] then
    answer[#answer + 1] = user
  end
end
return answer
