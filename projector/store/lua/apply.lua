-- Joins a batch into one bucket and moves its positions: all of it or nothing, in one step.
--
-- Follows bytes.lua: is_less(a, b).
--
-- KEYS[1]  meta of the bucket (hash)
-- KEYS[2]  positions of the bucket (hash)
-- ARGV[1]  msgpack array:
--   1 base         what every key of the bucket starts with
--   2 incarnation  the one the caller knows the bucket by
--   3 partitions   array of {name, expected position, next position, fingerprint or "", dead letters, no record, index}
--   4 jobs         array of {member, identity values, score, registers, number of registers that are stages, counts};
--                  registers are {name, value, name, value ...}, stages first; counts {index of a partition, events, ...};
--                  behind them whether the job may be made when it is not stored
--   5 names        array of {identity field names, index names, ledger suffixes, fingerprint suffix, job key name, name
--                  of the field that tells of sifting}
--   6 sift         what that field is expected to be, "" when not there
-- Positions are decimal text. Answers an array whose first element is the reason:
--   applied {jobs changed}, moved {partition, stored position}, missing {}, sealed {epoch}, damaged {key, member},
--   large {}: what these jobs hold already is more than may be looked at in one step; fewer of them will do
--
-- Everything is checked before the first write, and positions are written last: Redis keeps the writes of a script that
-- fails halfway, and then the same batch, joined again, repairs it.

local READ_BYTES = 2097152
local call, pcall = redis.call, redis.pcall
local payload = cmsgpack.unpack(ARGV[1])
local base, incarnation, partitions, jobs, names = payload[1], payload[2], payload[3], payload[4], payload[5]
local identity_fields, ledger, fingerprint, job_prefix = names[1], names[3], names[4], base .. names[5]
local index_prefixes = {}
for i, name in ipairs(names[2]) do index_prefixes[i] = base .. name end

local meta = call('HMGET', KEYS[1], 'incarnation', 'sealed', names[6])
if meta[1] ~= incarnation or (meta[3] or '') ~= payload[6] then return {'missing'} end
if meta[2] then return {'sealed', meta[2]} end
for _, partition in ipairs(partitions) do
  local stored = call('HGET', KEYS[2], partition[1]) or '0'
  if stored ~= partition[2] then return {'moved', partition[1], stored} end
end

local sound = {} -- indexes that were looked at: many jobs share one
local function damaged_index(job)
  for i, prefix in ipairs(index_prefixes) do
    local index = prefix .. job[2][i]
    if not sound[index] then
      local kind = call('TYPE', index).ok
      if kind ~= 'none' and kind ~= 'zset' then return index end
      sound[index] = true
    end
  end
end

-- Answers the registers to write, and whether a stage is among them: times take the smaller, details the greater.
local function improvements(registers, stage_count, stored)
  local writes, has_stage = {}, false
  for i, old in ipairs(stored) do
    local value, is_stage = registers[2 * i], i <= stage_count
    if not old or (is_stage and is_less(value, old)) or (not is_stage and is_less(old, value)) then
      writes[#writes + 1] = registers[2 * i - 1]
      writes[#writes + 1] = value
      has_stage = has_stage or is_stage
    end
  end
  return writes, has_stage
end

-- Answers whether a job that is stored must be indexed anew, or the key that is damaged. A score only rises (dateCreated
-- only falls). The first index is written last and says whether all have been.
local function is_to_index(job)
  local first = index_prefixes[1] .. job[2][1]
  local current = pcall('ZSCORE', first, job[1])
  if type(current) == 'table' then return false, first end
  return not current or tonumber(current) < job[3]
end

-- What each job needs: the registers to write, and whether to index it.
local needs, read_bytes = {}, 0
for at, job in ipairs(jobs) do
  local key, registers = job_prefix .. job[1], job[4]
  local known = pcall('HGET', key, identity_fields[1])
  if type(known) == 'table' then return {'damaged', key, job[1]} end
  local writes, must_index, damaged = registers, true, nil
  if known then
    local wanted = {}
    for i = 1, #registers, 2 do wanted[#wanted + 1] = registers[i] end
    if read_bytes > READ_BYTES then return {'large'} end
    local stored = call('HMGET', key, unpack(wanted))
    for _, old in ipairs(stored) do read_bytes = read_bytes + (old and #old or 0) end
    writes, must_index = improvements(registers, job[5], stored)
    if must_index then must_index, damaged = is_to_index(job) end
  elseif not job[7] then
    writes, must_index = {}, false
  else
    for i, name in ipairs(identity_fields) do
      writes[#writes + 1] = name
      writes[#writes + 1] = job[2][i]
    end
  end
  if must_index then damaged = damaged_index(job) end
  if damaged then return {'damaged', damaged, job[1]} end
  needs[at] = {writes, must_index}
end

-- Answers whether the job changed. Indexes first: a job that was half written is found to be new or changed again, and
-- so is mended.
local function write_job(job, writes, must_index)
  if #writes == 0 then return false end
  if must_index then
    for i = #index_prefixes, 1, -1 do call('ZADD', index_prefixes[i] .. job[2][i], 'GT', job[3], job[1]) end
  end
  call('HSET', job_prefix .. job[1], unpack(writes))
  return true
end

local applied, known = {}, {}
local changed_jobs = 0
for at, job in ipairs(jobs) do
  local tally, counts = known, job[6]
  if write_job(job, needs[at][1], needs[at][2]) then
    tally = applied
    changed_jobs = changed_jobs + 1
  end
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
