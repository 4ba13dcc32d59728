-- Reads the jobs of a bucket that have not finished, with where the bucket stands at that moment. Writes nothing.
--
-- Follows jobs/pieces.lua: whole(fields, name).
--
-- KEYS[1]  meta of the bucket (hash)
-- KEYS[2]  positions of the bucket (hash)
-- KEYS[3]  heartbeats of the bucket (hash)
-- KEYS[4]  refused events of the bucket that name a job, by that (sorted set)
-- ARGV[1]  msgpack array:
--   1 base         what every key of the bucket starts with
--   2 incarnation  the one the caller knows the bucket by
--   3 keys         array of the keys of jobs
--   4 fields       array of the names of a job's fields
--   5 finished     name of the field of the last stage
--   6 job_name     what the key of a job starts with, after base
--   7 limit        of bytes: after so many were read no further job is looked at
-- Answers an array whose first element is the reason:
--   read {milliseconds of Redis' clock, positions without what follows '#', heartbeats, keys that are done with, rows}: a
--   row is the fields in the order given (nil where the job has none), then its refused events, a line for each (nil
--   where there are none, '' where their key is of a wrong type)
--   missing {}

local call, pcall = redis.call, redis.pcall
local base, incarnation, keys, fields, finished, job_name, limit = unpack(cmsgpack.unpack(ARGV[1]))
if call('HGET', KEYS[1], 'incarnation') ~= incarnation then return {'missing'} end

local function refused_of(member)
  local entries = pcall('ZRANGEBYLEX', KEYS[4], '[' .. member .. '\t', '(' .. member .. '\n')
  if entries.err then return '' end
  return #entries > 0 and table.concat(entries, '\n')
end

-- Answers the wanted fields of a job in their order, its registers whole.
local function row_of(key)
  local stored, row, flat = {}, {}, call('HGETALL', key)
  for i = 1, #flat, 2 do stored[flat[i]] = flat[i + 1] end
  for i, name in ipairs(fields) do row[i] = whole(stored, name) or false end
  return row
end

local rows, done, size = {}, 0, 0
for _, key in ipairs(keys) do
  if size >= limit then break end
  done = done + 1
  local has_finished = pcall('HEXISTS', key, finished)
  if has_finished == 0 then
    local row = row_of(key)
    for i = 1, #fields do size = size + (row[i] and #row[i] or 0) end
    row[#fields + 1] = refused_of(string.sub(key, #base + #job_name + 1))
    rows[#rows + 1] = row
  end
end

local positions, stored = {}, call('HGETALL', KEYS[2])
for i = 1, #stored, 2 do
  if not string.find(stored[i], '#', 1, true) then
    positions[#positions + 1] = stored[i]
    positions[#positions + 1] = stored[i + 1]
  end
end
local time = call('TIME')
local now = string.format('%d%03d', time[1], math.floor(time[2] / 1000))
return {'read', now, positions, call('HGETALL', KEYS[3]), done, rows}
