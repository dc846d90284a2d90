-- Appends batches to the recent history of some tenants, and publishes them. Each by itself: what Redis refuses for one
-- is done for the others. See history_lib.lua.
--
-- KEYS     for each tenant: head, stream
-- ARGV     1 node, 2 the server's run id, 3 PUBLISH or SPUBLISH, 4 most events, 5 most bytes, 6 age in ms,
--          then for each tenant: how many arguments follow for it, and these
-- Returns  for each tenant what append returns, or { 'failed', error, key }
local history = history_of(ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6])
local answers, at = {}, 7
for key = 1, #KEYS, 2 do
  local is_done, answer = pcall(append, history, ARGV, at + 1, KEYS[key], KEYS[key + 1])
  if not is_done then
    answer = { 'failed', type(answer) == 'table' and answer.err or tostring(answer), history.touches }
  end
  answers[#answers + 1] = answer
  at = at + 1 + tonumber(ARGV[at])
end
return answers
