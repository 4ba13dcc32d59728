-- Reads jobs of a bucket, their index entries and the bucket's positions as they are at one moment.
--
-- KEYS[1]  meta of the bucket (hash)
-- KEYS[2]  positions of the bucket (hash)
-- ARGV[1]  msgpack array:
--   1 base         what every key of the bucket starts with
--   2 incarnation  the one the caller knows the bucket by
--   3 asked        array of {member, indexes}: the keys, without base, of the indexes that are looked at; when there
--                  are none, those that the stored identity names
--   4 names        array of {identity field names, index names, job key name}
--   5 limit        of bytes: what is asked beyond it is not answered, but for the first
-- Answers {'missing'}, {'damaged', key} or {'standing', positions, meta, jobs}: both hashes as name, value, name, value ...; jobs are
-- {type of the key, fields as name, value ..., index, score, index, score ...}, where a score is text, false when there
-- is none, or `!` and the type of the key when that is not a sorted set.

local call, pcall = redis.call, redis.pcall
local base, incarnation, asked, names, limit = unpack(cmsgpack.unpack(ARGV[1]))

for _, key in ipairs(KEYS) do
  local kind = call('TYPE', key).ok
  if kind ~= 'hash' and kind ~= 'none' then return {'damaged', key} end
end
local meta = call('HGETALL', KEYS[1])
local found
for i = 1, #meta, 2 do
  if meta[i] == 'incarnation' then found = meta[i + 1] end
end
if found ~= incarnation then return {'missing'} end

local function score_in(index, member)
  local score = pcall('ZSCORE', base .. index, member)
  if type(score) == 'table' then return '!' .. call('TYPE', base .. index).ok end
  return score
end

local function named_by(key)
  local identity, indexes = call('HMGET', key, unpack(names[1])), {}
  for i, name in ipairs(names[2]) do
    if identity[i] then indexes[#indexes + 1] = name .. identity[i] end
  end
  return indexes
end

local jobs, size = {}, 0
for _, one in ipairs(asked) do
  local member, indexes = one[1], one[2]
  local key = base .. names[3] .. member
  local kind, fields, scores = call('TYPE', key).ok, {}, {}
  if kind == 'hash' then
    fields = call('HGETALL', key)
    for _, text in ipairs(fields) do size = size + #text end
    if #indexes == 0 then indexes = named_by(key) end
  end
  for i, index in ipairs(indexes) do
    scores[2 * i - 1] = index
    scores[2 * i] = score_in(index, member)
  end
  jobs[#jobs + 1] = {kind, fields, scores}
  if size > limit then break end
end
return {'standing', call('HGETALL', KEYS[2]), meta, jobs}
