-- Takes users out of the online set whom no node vouches for, and tells it.
--
-- KEYS: 1 online set, 2 holders
-- ARGV: 1 what the names of all nodes' leases begin with, 2 channel, then for each user: id, announcement
-- Returns: { users who went offline... }
local users, announcements, answer = {}, {}, {}
for i = 3, #ARGV, 2 do
  users[#users + 1] = ARGV[i]
  announcements[#users] = ARGV[i + 1]
end
local held = leased(KEYS[2], ARGV[1], users, '')
for position, user in ipairs(users) do
  if not held[position] and redis.call('SISMEMBER', KEYS[1], user) == 1 then
    answer[#answer + 1] = user
    redis.call('PUBLISH', ARGV[2], announcements[position])
    redis.call('SREM', KEYS[1], user)
  end
end
return answer
