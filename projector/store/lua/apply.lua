-- Joins a batch into one bucket and moves its positions: all of it or nothing, in one step.
--
-- Follows jobs/job_hash.lua: changes_of(stored, batch, rules, job_id), is_recorded_later(old, new).
-- Follows jobs/identifiers.lua: stored_identifier(text).
-- Follows feed.lua: note_changes(key, salt, jobs, gone).
-- Follows refused.lua: remember_refused(by_job, by_time, entries, of_job, of_all).
--
-- KEYS[1]  meta of the bucket (hash)
-- KEYS[2]  positions of the bucket (hash)
-- KEYS[3]  refused events of the bucket that name a job, by that (sorted set)
-- KEYS[4]  the same, by when they were recorded (sorted set)
-- KEYS[5]  the feed of the bucket (stream)
-- ARGV[1]  msgpack array:
--   1 base         what every key of the bucket starts with
--   2 incarnation  the one the caller knows the bucket by
--   3 partitions   array of {name, expected position, next position, fingerprint or "", dead letters, no record, index}
--   4 jobs         flat array, for tables cost: of each job its member, score, number of fields, how many of them
--                  are of stages, number of counts, whether it may be made when it is not stored; then names and
--                  values as its hash has them: owner, agreementId, jobId (these whole) and attempt, the fields that hold
--                  the registers, those of stages first, each before its pieces; counts: index of a partition, events ...
--   5 names        array of {first identity field, index names, ledger suffixes, fingerprint suffix, job key name, name
--                  of the field that tells of sifting, rules of jobs/job_hash.lua}
--   6 sift         what that field is expected to be, "" when not there
--   7 refused      flat array, of each refused event that names a job the member of that, milliseconds, its entry
--   8 limits       array of {refused events that are remembered of a job, and of all}
-- Positions are decimal text. Answers an array whose first element is the reason:
--   applied {jobs changed, 1 when the feed was damaged and begun anew}, moved {partition, stored position}, missing {},
--   sealed {epoch}, damaged {key, member},
--   large {}: what these jobs hold already is more than may be looked at in one step; fewer of them will do
--
-- Everything is checked before the first write, and positions are written last: Redis keeps the writes of a script that
-- fails halfway, and then the same batch, joined again, repairs it.

local READ_BYTES = 2097152
local call, pcall = redis.call, redis.pcall
local payload = cmsgpack.unpack(ARGV[1])
local base, incarnation, partitions, jobs, names = payload[1], payload[2], payload[3], payload[4], payload[5]
local owner_field, ledger, fingerprint, job_prefix, rules = names[1], names[3], names[4], base .. names[5], names[7]
local index_prefixes = {}
for i, name in ipairs(names[2]) do index_prefixes[i] = base .. name end

local meta = call('HMGET', KEYS[1], 'incarnation', 'sealed', names[6])
if meta[1] ~= incarnation or (meta[3] or '') ~= payload[6] then return {'missing'} end
if meta[2] then return {'sealed', meta[2]} end
for _, partition in ipairs(partitions) do
  local stored = call('HGET', KEYS[2], partition[1]) or '0'
  if stored ~= partition[2] then return {'moved', partition[1], stored} end
end

-- Where the parts of a job are, from its member on; of identities and of fields the names, of which the values are behind.
local SCORE, FIELDS, STAGES, COUNTS, MAY_BE_MADE, IDENTITY, NAMES = 1, 2, 3, 4, 5, 6, 14
local INDEXED = #index_prefixes
local DETAIL, OTHER = 1, 2
local kinds = {} -- of what are not stages, nor pieces
for _, name in ipairs(rules.details) do kinds[name] = DETAIL end
for _, name in ipairs(rules.others) do kinds[name] = OTHER end

-- Answers where the counts of a job are, behind its fields, and the next job.
local function places(at)
  local counts = at + NAMES + 2 * jobs[at + FIELDS]
  return counts, counts + jobs[at + COUNTS]
end

-- By where a job is, what joins it into a hash that has something else already, and the pieces that are left over.
local joins, left_over = {}, {}

local sound = {} -- indexes that were looked at: many jobs share one
local function damaged_index(at)
  for i = 1, INDEXED do
    local index = index_prefixes[i] .. jobs[at + IDENTITY + 2 * i - 1]
    if not sound[index] then
      if type(pcall('ZSCORE', index, jobs[at])) == 'table' then return index end
      sound[index] = true
    end
  end
end

-- Answers whether what is stored must be read as a whole, for a field has another content that may matter: more than that
-- a report was recorded again, and not a detail of another stage, of which the later one's stays.
local function is_to_join(at, counts, stored)
  local first_detail, is_decided = at + NAMES + 2 * jobs[at + STAGES], false
  local number = 1
  for i = at + NAMES, counts - 2, 2 do
    number = number + 1
    local old, new = stored[number], jobs[i + 1]
    if i < first_detail then
      if old and old ~= new and not is_recorded_later(old, new) then return true end
    else
      local kind = kinds[jobs[i]]
      if kind then is_decided = false end
      if old and old ~= new and not is_decided then
        is_decided = kind == DETAIL and sub(old, 1, 2) ~= sub(new, 1, 2)
        if not is_decided then return true end
      end
    end
  end
  return false
end

-- Notes the pieces that a detail may have beyond those that it will have.
local function leave_over(at, name, pieces)
  for number = pieces + 1, MOST_PIECES do
    left_over[at] = left_over[at] or {}
    table.insert(left_over[at], name .. ':' .. number)
  end
end

-- Takes away the names of the fields that stay as they are stored. Answers whether any are left, and whether one is of a
-- stage.
local function keep_new(at, counts, stored)
  local any, has_stage, first_detail = false, false, at + NAMES + 2 * jobs[at + STAGES]
  local is_new, was_long, name, pieces, number = true, false, nil, 0, 1
  local function end_detail()
    if was_long and is_new then leave_over(at, name, pieces) end
  end
  for i = at + NAMES, counts - 2, 2 do
    number = number + 1
    local old, new, kind = stored[number], jobs[i + 1], kinds[jobs[i]]
    if i < first_detail then
      is_new = not old
      has_stage = has_stage or is_new
    elseif kind then -- and of its pieces what is true of it
      end_detail()
      name, pieces, was_long = jobs[i], 1, kind == DETAIL and old and #old == PIECE
      is_new = not old or (kind == DETAIL and is_less(sub(old, 1, 2), sub(new, 1, 2)))
    else
      pieces = pieces + 1
    end
    if is_new then any = true else jobs[i] = false end
  end
  end_detail()
  return any, has_stage
end

-- Answers what joins a job into its hash, which has something else already, and the bytes of the hash.
local function joined(at, counts, key)
  local stored, batch, read, flat = {}, {}, 0, call('HGETALL', key)
  for i = 1, #flat, 2 do
    stored[flat[i]], read = flat[i + 1], read + #flat[i] + #flat[i + 1]
  end
  for i = at + NAMES, counts - 2, 2 do batch[jobs[i]] = jobs[i + 1] end
  return changes_of(stored, batch, rules, jobs[at + IDENTITY + 5]), read
end

-- Answers whether a job that is stored must be indexed anew, or the key that is damaged. A score only rises (dateCreated
-- only falls). The first index is written last and says whether all have been.
local function is_to_index(at)
  local first = index_prefixes[1] .. jobs[at + IDENTITY + 1]
  local current = pcall('ZSCORE', first, jobs[at])
  if type(current) == 'table' then return false, first end
  return not current or tonumber(current) < tonumber(jobs[at + SCORE])
end

-- What each job needs: nothing, its improved registers, those and its indexes, or all of it.
local NOTHING, REGISTERS, INDEXES, ALL = 0, 1, 2, 3

-- Answers the owner and the fields that are stored of a job, or what says that its key is damaged. A job of which the
-- first stage is reported is mostly a new one, which is found out for less.
local function look(at, counts, key)
  if jobs[at + NAMES] == rules.stages[1] then
    local is_stored = pcall('HEXISTS', key, owner_field)
    if is_stored == 0 then return {} end
    if type(is_stored) == 'table' then return is_stored end
  end
  local asked, number = {owner_field}, 1
  for i = at + NAMES, counts - 2, 2 do
    number = number + 1
    asked[number] = jobs[i]
  end
  return pcall('HMGET', key, unpack(asked))
end

-- Answers what a job needs and the bytes of what is stored of it, or false and the key that is damaged.
local function need_of(at, counts)
  local key, damaged = job_prefix .. jobs[at], nil
  local stored = look(at, counts, key)
  if stored.err then return false, key end
  local need, read = ALL, 0
  if stored[1] then
    for _, old in ipairs(stored) do read = read + (old and #old or 0) end
    local any, has_stage
    if is_to_join(at, counts, stored) then
      joins[at], read = joined(at, counts, key)
      any, has_stage = #joins[at].set > 0, joins[at].has_stage
    else
      any, has_stage = keep_new(at, counts, stored)
    end
    need = any and REGISTERS or NOTHING
    if has_stage then
      local must_index
      must_index, damaged = is_to_index(at)
      if must_index then need = INDEXES end
    end
  elseif not jobs[at + MAY_BE_MADE] then
    need = NOTHING
  end
  if need >= INDEXES then damaged = damaged or damaged_index(at) end
  if damaged then return false, damaged end
  return need, read
end

local needs, read_bytes = {}, 0
local at, last, counts, after = 1, #jobs, nil, nil
while at <= last do
  if read_bytes > READ_BYTES then return {'large'} end
  counts, after = places(at)
  local need, told = need_of(at, counts)
  if not need then return {'damaged', told, jobs[at]} end
  needs[#needs + 1] = need
  read_bytes = read_bytes + told
  at = after
end

local writes = {} -- one table for all jobs

-- Indexes first: a job that was half written is found to be new or changed again, and so is mended.
local function write_job(at, counts, need)
  local key, changes = job_prefix .. jobs[at], joins[at]
  if need >= INDEXES then
    for i = INDEXED, 1, -1 do
      call('ZADD', index_prefixes[i] .. jobs[at + IDENTITY + 2 * i - 1], 'GT', jobs[at + SCORE], jobs[at])
    end
  end
  if changes then
    -- Pieces that are left over are read by nobody, others that are missing would be missed.
    call('HSET', key, unpack(changes.set))
    if #changes.gone > 0 then call('HDEL', key, unpack(changes.gone)) end
    return
  end
  if need == ALL then
    for i = at + IDENTITY + 1, at + IDENTITY + 5, 2 do jobs[i] = stored_identifier(jobs[i]) end
    call('HSET', key, unpack(jobs, at + IDENTITY, counts - 1))
    return
  end
  local size = 0
  for i = at + NAMES, counts - 2, 2 do
    if jobs[i] then writes[size + 1], writes[size + 2], size = jobs[i], jobs[i + 1], size + 2 end
  end
  call('HSET', key, unpack(writes, 1, size))
  if left_over[at] then call('HDEL', key, unpack(left_over[at])) end
end

local applied, known = {}, {}
local changed = {}
at = 1
for _, need in ipairs(needs) do
  local tally = known
  counts, after = places(at)
  if need ~= NOTHING then
    write_job(at, counts, need)
    tally, changed[#changed + 1] = applied, jobs[at]
  end
  for i = counts, after - 1, 2 do tally[jobs[i]] = (tally[jobs[i]] or 0) + jobs[i + 1] end
  at = after
end

remember_refused(KEYS[3], KEYS[4], payload[7], payload[8][1], payload[8][2])

local reached = {}
for i, partition in ipairs(partitions) do
  local name, index = partition[1], partition[7]
  local sums = {applied[index] or 0, known[index] or 0, partition[5], partition[6]}
  for i, suffix in ipairs(ledger) do
    if sums[i] > 0 then call('HINCRBY', KEYS[2], name .. suffix, sums[i]) end
  end
  if partition[4] ~= '' then call('HSET', KEYS[2], name .. fingerprint, partition[4]) end
  call('HSET', KEYS[2], name, partition[3])
  reached[i] = name .. ' ' .. partition[3]
end
local was_damaged = #changed > 0 and note_changes(KEYS[5], table.concat(reached, ' '), changed, '')
return {'applied', #changed, was_damaged and 1 or 0}
