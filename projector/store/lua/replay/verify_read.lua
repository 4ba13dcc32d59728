-- Reads jobs of a bucket, their index entries and the bucket's positions as they are at one moment.
--
-- Follows jobs/identifiers.lua: identifier_in(stored).
--
-- KEYS[1]  meta of the bucket (hash)
-- KEYS[2]  positions of the bucket (hash)
-- KEYS[3]  refused events of the bucket that name a job, by that (sorted set)
-- KEYS[4]  the same, by when they were recorded (sorted set)
-- ARGV[1]  msgpack array:
--   1 base         what every key of the bucket starts with
--   2 incarnation  the one the caller knows the bucket by
--   3 asked        array of {member, indexes}: the keys, without base, of indexes that are looked at besides those that
--                  the stored identity names
--   4 names        array of {identity field names, index names, job key name}
--   5 limit        of bytes: what is asked beyond it is not answered, but for the first
-- Answers {'missing'}, {'damaged', key} or {'standing', positions, meta, jobs, refused}: both hashes as name, value, name, value
-- ...; jobs is one msgpack array, which takes the caller a fraction of the time, of {type of the key, fields as name,
-- value ..., index, score, index, score ...}, where a score is text, false when there is none, or `!` and the type of the
-- key when that is not a sorted set. `refused` is told when no job is asked for, else false: a msgpack array of what each
-- of both keys holds, as entry, score, entry, score ..., or the type of the key when that is not a sorted set.

local call, pcall = redis.call, redis.pcall
local base, incarnation, asked, names, limit = unpack(cmsgpack.unpack(ARGV[1]))

for _, key in ipairs({KEYS[1], KEYS[2]}) do
  local kind = call('TYPE', key).ok
  if kind ~= 'hash' and kind ~= 'none' then return {'damaged', key} end
end
local meta = call('HGETALL', KEYS[1])
local found
for i = 1, #meta, 2 do
  if meta[i] == 'incarnation' then found = meta[i + 1] end
end
if found ~= incarnation then return {'missing'} end

local index_of = {}
for i, index in ipairs(names[2]) do index_of[names[1][i]] = index end

local function score_in(index, member)
  local score = pcall('ZSCORE', base .. index, member)
  if type(score) == 'table' then return '!' .. call('TYPE', base .. index).ok end
  return score
end

local function read(member, indexes)
  local key = base .. names[3] .. member
  local kind, fields, scores, looked = 'hash', pcall('HGETALL', key), {}, {}
  if fields.err then
    kind, fields = call('TYPE', key).ok, {}
  elseif #fields == 0 then
    kind = 'none'
  end
  local function look(index)
    if looked[index] then return end
    looked[index] = true
    scores[#scores + 1] = index
    scores[#scores + 1] = score_in(index, member)
  end
  local size = 0
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    size = size + #name + #value
    if index_of[name] then look(index_of[name] .. identifier_in(value)) end
  end
  for _, index in ipairs(indexes) do look(index) end
  return {kind, fields, scores}, size
end

local jobs, size = {}, 0
for i, one in ipairs(asked) do
  local job, taken = read(one[1], one[2])
  jobs[i] = job
  size = size + taken
  if size > limit then break end
end
local refused = false
if #asked == 0 then
  local held = {}
  for i, key in ipairs({KEYS[3], KEYS[4]}) do
    local found = pcall('ZRANGE', key, 0, -1, 'WITHSCORES')
    held[i] = found.err and call('TYPE', key).ok or found
  end
  refused = cmsgpack.pack(held)
end
return {'standing', call('HGETALL', KEYS[2]), meta, cmsgpack.pack(jobs), refused}
