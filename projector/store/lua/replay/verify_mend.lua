-- Makes right what was found to differ in a bucket, if nothing was applied since it was compared.
--
-- Follows feed.lua: note_changes(key, salt, jobs, gone).
-- Follows lists.lua: set_fields(key, list, first).
--
-- KEYS[1]  meta of the bucket (hash)
-- KEYS[2]  positions of the bucket (hash)
-- KEYS[3]  refused events of the bucket that name a job, by that (sorted set)
-- KEYS[4]  the same, by when they were recorded (sorted set)
-- KEYS[5]  the feed of the bucket (stream)
-- ARGV[1]  msgpack array:
--   1 base         what every key of the bucket starts with
--   2 incarnation  the one the caller knows the bucket by
--   3 expected     positions at which it was compared: {partition, position, partition, position ...}
--   4 jobs         array of {member, fields: {name, value, name, value ...}, or none of them to delete the job}
--   5 entries      array of {index key without base, member, score}
--   6 gone         array of {index key without base, member}
--   7 keys         array of index keys without base, that are no sorted set and are deleted
--   8 positions    {name, value, name, value ...} to set in positions
--   9 meta         {name, value, name, value ...} to set in meta
--   10 job_name    what the key of a job starts with, after base
--   11 is_kept     whether the generation is not live and the caller holds the lease: then the seal that it was retired
--                  with keeps others out, not the caller
--   12 refused     all refused events that are to be remembered: {entry, milliseconds, entry, milliseconds ...}, or
--                  false when they are left as they are
-- Answers {'mended'}, {'missing'}, {'sealed'} or {'moved', partition, expected, stored}.

local call = redis.call
local base, incarnation, expected, jobs, entries, gone, keys, positions, meta, job_name, is_kept, refused =
  unpack(cmsgpack.unpack(ARGV[1]))

local known = call('HMGET', KEYS[1], 'incarnation', 'sealed')
if known[1] ~= incarnation then return {'missing'} end
if known[2] and not is_kept then return {'sealed'} end
for i = 1, #expected, 2 do
  local stored = call('HGET', KEYS[2], expected[i]) or '0'
  if stored ~= expected[i + 1] then return {'moved', expected[i], expected[i + 1], stored} end
end

local function delete_unless_index(key)
  if call('TYPE', key).ok ~= 'zset' then call('DEL', key) end
end

for _, key in ipairs(keys) do delete_unless_index(base .. key) end
for _, entry in ipairs(entries) do
  delete_unless_index(base .. entry[1])
  call('ZADD', base .. entry[1], entry[3], entry[2])
end
for _, entry in ipairs(gone) do
  delete_unless_index(base .. entry[1])
  call('ZREM', base .. entry[1], entry[2])
end
local mended = {}
for i, job in ipairs(jobs) do
  local key = base .. job_name .. job[1]
  call('DEL', key)
  if #job[2] > 0 then call('HSET', key, unpack(job[2])) end
  mended[i] = job[1]
end
for _, entry in ipairs(entries) do mended[#mended + 1] = entry[2] end
set_fields(KEYS[2], positions, 1)
set_fields(KEYS[1], meta, 1)
if #mended > 0 then note_changes(KEYS[5], table.concat(mended, ' '), mended, '') end
if refused then
  for _, key in ipairs({KEYS[3], KEYS[4]}) do call('DEL', key) end
  for i = 1, #refused, 2 do
    call('ZADD', KEYS[3], 0, refused[i])
    call('ZADD', KEYS[4], refused[i + 1], refused[i])
  end
end
return {'mended'}
