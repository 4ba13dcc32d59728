-- Lets jobs of a bucket go whose last news is before a cutoff, with their index entries: all of it in one step.
--
-- Follows bytes.lua: is_less(a, b).
-- Follows feed.lua: note_changes(key, salt, jobs, gone).
-- Follows numbers.lua: number_in(text).
-- Follows jobs/identifiers.lua: identifier_in(stored).
--
-- KEYS[1]  meta of the bucket (hash)
-- KEYS[2]  positions of the bucket (hash)
-- KEYS[3]  heartbeats of the bucket (hash)
-- KEYS[4]  refused events of the bucket that name a job, by that (sorted set)
-- KEYS[5]  the same, by when they were recorded (sorted set)
-- KEYS[6]  the feed of the bucket (stream)
-- ARGV[1]  msgpack array:
--   1 base         what every key of the bucket starts with
--   2 incarnation  the one the caller knows the bucket by
--   3 cutoff       a sortable time
--   4 mode         count: nothing is changed; collect: jobs go, if the bucket has caught up; make room: jobs go, if it
--                  has reached its floors
--   5 keys         array of the keys of jobs
--   6 names        array of {identity field names, index names, stage names, detail names, job key name, floor prefix,
--                  name of the field that tells of sifting}
--   7 places       where the time begins and ends in a stage's register, and where in a detail's; from 1
--   8 limit        of bytes: after so many were read no further job is looked at
--   9 before       the cutoff in milliseconds: refused events from before it go too, some at a time
-- Answers an array whose first element is the reason:
--   done {jobs looked at, of these: too old, keys that are done with, owner, agreementId and jobId of each that went}, missing {}, sealed {epoch}, behind {partition}
--
-- A job's last news is the greatest time of any of its registers, as in schemas/expiry.py. A job is left alone when it
-- or an index of it has a wrong type, or its identity is not whole: that is for a repair. Its hash goes last, so that
-- a job whose index entries are gone is found again.

local call, pcall = redis.call, redis.pcall
local sub = string.sub
local base, incarnation, cutoff, mode, keys, names, places, limit, before = unpack(cmsgpack.unpack(ARGV[1]))
local REFUSED_AT_ONCE = 100
local identity_fields, index_names, stages, details, job_prefix, floor_prefix, sift_name = unpack(names)

-- A job that looks old in a bucket that has not caught up may have news in the log. Answers such a partition; one that
-- is held, or whose end nobody knows, is one.
local function partition_behind()
  local function is_behind(name, offset)
    return number_in(call('HGET', KEYS[2], name) or '0') < number_in(offset)
  end
  local meta = call('HGETALL', KEYS[1])
  for i = 1, #meta, 2 do
    local name = sub(meta[i], #floor_prefix + 1)
    if sub(meta[i], 1, #floor_prefix) == floor_prefix and is_behind(name, meta[i + 1]) then return name end
  end
  if mode == 'make room' then return nil end
  local heartbeats = call('HGETALL', KEYS[3])
  for i = 1, #heartbeats, 2 do
    local log_end = string.match(heartbeats[i + 1], '^%d+ (%d+)$')
    if not log_end or is_behind(heartbeats[i], log_end) then return heartbeats[i] end
  end
end

local fields = {}
for _, group in ipairs({identity_fields, stages, details}) do
  for _, name in ipairs(group) do fields[#fields + 1] = name end
end
local first_stage = #identity_fields + 1
local first_detail = first_stage + #stages

local function has_news(job)
  for i = #fields, first_stage, -1 do
    local at = i < first_detail and 1 or 3
    -- A detail without a time of its own is as old as its stage.
    if job[i] and sub(job[i], 3, 3) ~= '=' and not is_less(sub(job[i], places[at], places[at + 1]), cutoff) then return true end
  end
  return false
end

-- Answers the job's index keys, or nil when it must be left alone.
local function indexes_of(job)
  local indexes = {}
  for i, name in ipairs(index_names) do
    if not job[i] then return nil end
    indexes[i] = base .. name .. identifier_in(job[i])
    local kind = call('TYPE', indexes[i]).ok
    if kind ~= 'zset' and kind ~= 'none' then return nil end
  end
  return indexes
end

local meta = call('HMGET', KEYS[1], 'incarnation', 'sealed', sift_name)
if meta[1] ~= incarnation then return {'missing'} end
if meta[2] then return {'sealed', meta[2]} end
-- While it is sifted, what has no news stored has none below the floors, or will be found to have some.
if mode ~= 'count' and not meta[3] then
  local partition = partition_behind()
  if partition then return {'behind', partition} end
end

if mode ~= 'count' then
  local refused = pcall('ZRANGEBYSCORE', KEYS[5], '-inf', '(' .. before, 'LIMIT', 0, REFUSED_AT_ONCE)
  for _, entry in ipairs(refused.err and {} or refused) do
    pcall('ZREM', KEYS[4], entry)
    call('ZREM', KEYS[5], entry)
  end
end

local looked_at, old, done, size, went, gone = 0, 0, 0, 0, {}, {}
for _, key in ipairs(keys) do
  if size >= limit then break end
  done = done + 1
  local job = pcall('HMGET', key, unpack(fields))
  if not job.err then
    looked_at = looked_at + 1
    for i = 1, #fields do size = size + (job[i] and #job[i] or 0) end
    local indexes = not has_news(job) and indexes_of(job)
    if indexes then
      old = old + 1
      if mode ~= 'count' then
        local member = sub(key, #base + #job_prefix + 1)
        for _, index in ipairs(indexes) do call('ZREM', index, member) end
        call('DEL', key)
        for i = 1, #index_names do went[#went + 1] = job[i] end
        local attempt = job[#identity_fields] or ''
        gone[#gone + 1] = table.concat(job, '\t', 1, #identity_fields - 1) .. '\t' .. attempt
      end
    end
  end
end
if #gone > 0 then note_changes(KEYS[6], table.concat(gone, '\n'), {}, table.concat(gone, '\n')) end
return {'done', looked_at, old, done, went}
