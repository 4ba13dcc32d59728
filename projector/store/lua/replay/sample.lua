-- Looks at some of the keys that this server holds, and measures those of ours.
--
-- ARGV[1]  what our keys begin with
-- ARGV[2]  how many keys to look at
-- ARGV[3]  where to go on in the walk through all of them, at first 0; 'random' to draw keys, of which one may come twice
-- Answers {keys that the server holds, where to go on or 0, keys that were looked at, {key, bytes, members} ...}.
--
-- It is sent to a server, not to the owner of a key: on a cluster each answers for itself.

local call = redis.call
local next_at, keys = '0', {}
if ARGV[3] == 'random' then
  for i = 1, tonumber(ARGV[2]) do keys[i] = call('RANDOMKEY') or nil end
else
  next_at, keys = unpack(call('SCAN', ARGV[3], 'COUNT', ARGV[2]))
end
local measured = {}
for _, key in ipairs(keys) do
  if string.sub(key, 1, #ARGV[1]) == ARGV[1] then
    local members = call('TYPE', key).ok == 'zset' and call('ZCARD', key) or 1
    measured[#measured + 1] = {key, call('MEMORY', 'USAGE', key) or 0, members}
  end
end
return {call('DBSIZE'), next_at, #keys, measured}
