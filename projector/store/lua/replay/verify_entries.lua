-- Looks through index entries of a bucket for those whose job, as it is stored, does not have them.
--
-- Follows jobs/identifiers.lua: identifier_in(stored).
--
-- KEYS[1]  meta of the bucket (hash), which names the bucket's place in a cluster
-- ARGV[1]  msgpack array:
--   1 base   what every key of the bucket starts with
--   2 asked  array of {index key without base, cursor}: from where to go on in it, '0' at first
--   3 names  array of {identity field names, index names, job key name}
--   4 limit  of entries: what is asked beyond it is not answered, but for the first
-- Answers {number of keys looked into, msgpack array of {index of the key in asked, cursor, type, members}} of those keys
-- alone of which there is something to tell: a cursor that is not '0' when there are more entries, the type when that
-- is not a sorted set (else false), and members whose job has another identity or none.

local call, pcall = redis.call, redis.pcall
local base, asked, names, limit = unpack(cmsgpack.unpack(ARGV[1]))

local function named(key)
  for i, index in ipairs(names[2]) do
    if string.sub(key, 1, #index) == index then return names[1][i], string.sub(key, #index + 1) end
  end
end

local told, looked, done = {}, 0, 0
for i, one in ipairs(asked) do
  local key, cursor = one[1], one[2]
  local answer = pcall('ZSCAN', base .. key, cursor)
  if answer.err then
    told[#told + 1] = {i, '0', call('TYPE', base .. key).ok, {}}
  else
    local field, value = named(key)
    local entries, suspects = answer[2], {}
    for at = 1, #entries, 2 do
      local stored = pcall('HGET', base .. names[3] .. entries[at], field)
      if type(stored) ~= 'string' or identifier_in(stored) ~= value then suspects[#suspects + 1] = entries[at] end
    end
    looked = looked + #entries / 2
    if answer[1] ~= '0' or #suspects > 0 then told[#told + 1] = {i, answer[1], false, suspects} end
  end
  done = i
  if looked >= limit then break end
end
return {done, cmsgpack.pack(told)}
