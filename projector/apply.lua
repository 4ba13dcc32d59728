-- Joins a batch into one bucket and moves its positions: all of it or nothing, in one step.
--
-- KEYS[1]  meta of the bucket (hash)
-- KEYS[2]  positions of the bucket (hash)
-- ARGV[1]  msgpack array:
--   1 base         what every key of the bucket starts with
--   2 incarnation  the one the caller knows the bucket by
--   3 partitions   array of {name, expected position, next position, fingerprint or "", dead letters, no record, index}
--   4 jobs         array of {member, identity values, score, stage registers, detail registers, counts}; registers are
--                  {name, value, name, value ...}, counts {index of a partition, events, ...}
--   5 names        array of {identity field names, index names, ledger suffixes, fingerprint suffix, job key name}
-- Positions are decimal text. Answers an array whose first element is the reason:
--   applied {jobs changed}, moved {partition, stored position}, missing {}, sealed {epoch}, damaged {key, members...}
--
-- Everything is checked before the first write, and positions are written last: Redis keeps the writes of a script that
-- fails halfway, and then the same batch, joined again, repairs it.

local call, pcall = redis.call, redis.pcall
local sub, byte = string.sub, string.byte
local payload = cmsgpack.unpack(ARGV[1])
local base, incarnation, partitions, jobs, names = payload[1], payload[2], payload[3], payload[4], payload[5]
local identity_fields, indexes, ledger, fingerprint, job_key = names[1], names[2], names[3], names[4], names[5]

-- Lua's own < follows the server's locale; registers are ordered by their bytes.
local function is_less(a, b)
  local at = 1
  while sub(a, at, at + 7) == sub(b, at, at + 7) do
    if at > #a then return false end
    at = at + 8
  end
  for i = at, at + 7 do
    local x, y = byte(a, i), byte(b, i)
    if x ~= y then return x == nil or (y ~= nil and x < y) end
  end
end

local meta = call('HMGET', KEYS[1], 'incarnation', 'sealed')
if meta[1] ~= incarnation then return {'missing'} end
if meta[2] then return {'sealed', meta[2]} end
for _, partition in ipairs(partitions) do
  local stored = call('HGET', KEYS[2], partition[1]) or '0'
  if stored ~= partition[2] then return {'moved', partition[1], stored} end
end

-- What is stored of each job: the first identity field, then its registers in the order of the batch's.
local stored_jobs = {}
for index, job in ipairs(jobs) do
  local stages, details = job[4], job[5]
  local fields = {identity_fields[1]}
  for i = 1, #stages, 2 do fields[#fields + 1] = stages[i] end
  for i = 1, #details, 2 do fields[#fields + 1] = details[i] end
  local stored = pcall('HMGET', base .. job_key .. job[1], unpack(fields))
  if stored.err then return {'damaged', base .. job_key .. job[1], job[1]} end
  if not stored[1] then
    for i, name in ipairs(indexes) do
      local key = base .. name .. job[2][i]
      local kind = call('TYPE', key).ok
      if kind ~= 'none' and kind ~= 'zset' then return {'damaged', key, job[1]} end
    end
  end
  stored_jobs[index] = stored
end

-- Returns the fields to write, the number of those that are stages coming first.
local function improvements(job, stored)
  local writes, stages, details = {}, job[4], job[5]
  local at = 2
  for i = 1, #stages, 2 do
    local old = stored[at]
    if not old or is_less(stages[i + 1], old) then
      writes[#writes + 1] = stages[i]
      writes[#writes + 1] = stages[i + 1]
    end
    at = at + 1
  end
  local stage_writes = #writes
  for i = 1, #details, 2 do
    local old = stored[at]
    if not old or is_less(old, details[i + 1]) then
      writes[#writes + 1] = details[i]
      writes[#writes + 1] = details[i + 1]
    end
    at = at + 1
  end
  return writes, stage_writes
end

-- A score only rises (dateCreated only falls). The first index is written last and says whether all have been.
local function index_job(job, is_new)
  if not is_new then
    local current = call('ZSCORE', base .. indexes[1] .. job[2][1], job[1])
    if current and tonumber(current) >= job[3] then return end
  end
  for i = #indexes, 1, -1 do call('ZADD', base .. indexes[i] .. job[2][i], 'GT', job[3], job[1]) end
end

local applied, known = {}, {}
local changed_jobs = 0
for index, job in ipairs(jobs) do
  local stored = stored_jobs[index]
  local writes, stage_writes = improvements(job, stored)
  local tally = known
  if #writes > 0 then
    tally = applied
    changed_jobs = changed_jobs + 1
    if not stored[1] then
      for i, name in ipairs(identity_fields) do
        writes[#writes + 1] = name
        writes[#writes + 1] = job[2][i]
      end
    end
    -- Indexes first: a job that was half written is found to be new or changed again, and so is mended.
    if stage_writes > 0 then index_job(job, not stored[1]) end
    call('HSET', base .. job_key .. job[1], unpack(writes))
  end
  local counts = job[6]
  for i = 1, #counts, 2 do tally[counts[i]] = (tally[counts[i]] or 0) + counts[i + 1] end
end

for _, partition in ipairs(partitions) do
  local name, index = partition[1], partition[7]
  local sums = {applied[index] or 0, known[index] or 0, partition[5], partition[6]}
  for i, suffix in ipairs(ledger) do
    if sums[i] > 0 then call('HINCRBY', KEYS[2], name .. suffix, sums[i]) end
  end
  if partition[4] ~= '' then call('HSET', KEYS[2], name .. fingerprint, partition[4]) end
  call('HSET', KEYS[2], name, partition[3])
end
return {'applied', changed_jobs}
