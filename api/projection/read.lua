-- Answers many lookups in one bucket, in one step, with where the bucket stands at that moment. Writes nothing.
--
-- KEYS[1]  meta of the bucket (hash)
-- KEYS[2]  positions of the bucket (hash)
-- KEYS[3]  heartbeats of the bucket (hash)
-- KEYS[4]  refused events of the bucket that name a job, by that (sorted set)
-- ARGV[1]  base: what every key of the bucket starts with
-- ARGV[2]  name of a job's key, to be followed by its member
-- ARGV[3]  how many fields of a job are wanted, n
-- ARGV[4 .. 3 + n]  their names
-- ARGV[4 + n]  the most bytes of rows in a reply; one row may go beyond it
-- ARGV[5 + n]  the lookups, a line for each, in fields with a tab between them (identifiers hold no control characters):
--   number of jobs wanted, 1 when the refused events of each are wanted too (else 0), score and member to go on after (both empty for the start; only the member empty for the
--   start of that score), then the names of the indexes, all of which must have a job (none: there is nothing to find)
-- Answers {milliseconds of Redis' clock, meta, positions, heartbeats, answer, answer ...}; the three hashes are flat
-- arrays, positions without what follows '#'. An answer, one for each lookup, begins with its reason:
--   all {rows, looked at}                  there are no more; how many members were looked at for these rows
--   more {rows, looked at, score, member}  there may be more after these; perhaps none was looked at yet
--   damaged {key}                          the key of an index is of a wrong type
-- A row is the fields in the order given (nil where the job has none; all of them where no job is stored or its key is of
-- a wrong type), then the refused events that name the job, a line for each (nil where there are none or they are not
-- wanted, '' where their key is of a wrong type), then score and member.
--
-- Redis does nothing else meanwhile, so the work is limited: in units of about a microsecond, and in bytes. Whoever is
-- not served in full asks again with the score and member that were answered.

local WORK, MINIMUM_SHARE, SEARCH_SHARE = 2000, 40, 600
local PIECE = 64 -- bytes
local LOOKUP_COST, ROW_COST, EXAMINED_AT_ONCE = 4, 6, 200

local call, pcall = redis.call, redis.pcall
local byte, find, gmatch, match = string.byte, string.find, string.gmatch, string.match
local floor, max, min = math.floor, math.max, math.min
local base, job_key, field_count = ARGV[1], ARGV[2], tonumber(ARGV[3])
local fields = {unpack(ARGV, 4, field_count + 3)}
local work, bytes = WORK, tonumber(ARGV[field_count + 4])

-- Lua's own > follows the server's locale; members are ordered by their bytes.
local function is_greater(a, b)
  for i = 1, max(#a, #b) do
    local x, y = byte(a, i) or -1, byte(b, i) or -1
    if x ~= y then return x > y end
  end
  return false
end

-- Any number of jobs can share one second, so a member that is gone or moved is searched for, not skipped to.
local function rank_after(key, score, member)
  if member ~= '' then
    local current = call('ZSCORE', key, member)
    if current and tonumber(current) == tonumber(score) then return call('ZRANK', key, member) + 1 end
  end
  local low, high = call('ZCOUNT', key, '-inf', '(' .. score), call('ZCOUNT', key, '-inf', score)
  while low < high do
    local middle = floor((low + high) / 2)
    if is_greater(call('ZRANGE', key, middle, middle)[1], member) then high = middle else low = middle + 1 end
  end
  return low
end

-- Takes the smallest index out of the names; answers its key, its size and the keys of the others, or a damaged key.
local function lead(names)
  local leader, size
  for i, name in ipairs(names) do
    names[i] = base .. name
    local count = pcall('ZCARD', names[i])
    if type(count) == 'table' then return nil, names[i] end
    if not size or count < size then leader, size = i, count end
  end
  return table.remove(names, leader), size, names
end

-- Answers which of the examined {member, score, member, score ...} are in every other index; nil for all of them.
local function in_others(others, examined)
  if #others == 0 then return nil end
  local members, is_in = {}, {}
  for i = 1, #examined, 2 do members[#members + 1] = examined[i] end
  for _, key in ipairs(others) do
    for i, score in ipairs(call('ZMSCORE', key, unpack(members))) do
      if not score then is_in[i] = false end
    end
  end
  return is_in
end

-- A register of 64 bytes goes on in pieces behind it (schemas/job_hash.py), until one is shorter. Adds these to the fields
-- of a row at the places that are cut.
local function complete(row, key, cut)
  local number = 2
  while #cut > 0 do
    local names, longer = {}, {}
    for i, at in ipairs(cut) do names[i] = fields[at] .. ':' .. number end
    for i, piece in ipairs(call('HMGET', key, unpack(names))) do
      local at = cut[i]
      row[at] = row[at] .. (piece or '')
      if piece and #piece == PIECE then longer[#longer + 1] = at end
    end
    cut, number = longer, number + 1
  end
end

-- Answers the refused events that name a job.
local function refused_of(member)
  local entries = pcall('ZRANGEBYLEX', KEYS[4], '[' .. member .. '\t', '(' .. member .. '\n')
  if entries.err then return '' end
  return #entries > 0 and table.concat(entries, '\n')
end

local function fetch(member, score, with_refused)
  local key = base .. job_key .. member
  local row, cut = pcall('HMGET', key, unpack(fields)), {}
  if row.err then row = {} end
  for i = 1, field_count do
    row[i] = row[i] or false
    if row[i] and #row[i] == PIECE then cut[#cut + 1] = i end
  end
  complete(row, key, cut)
  for i = 1, field_count do
    if row[i] then bytes = bytes - #row[i] end
  end
  row[field_count + 1] = with_refused and refused_of(member) or false
  if row[field_count + 1] then bytes = bytes - #row[field_count + 1] end
  row[field_count + 2], row[field_count + 3] = score, member
  return row
end

local function look_up(names, wanted, with_refused, score, member, share)
  work = work - LOOKUP_COST
  if #names == 0 then return {'all', {}, 0} end
  local key, size, others = lead(names)
  if not key then return {'damaged', size} end
  local rows = {}
  if size == 0 then return {'all', rows, 0} end
  local rank = score == '' and 0 or rank_after(key, score, member)
  local first = rank
  -- Whoever compares indexes may find nothing for long, and everybody waits for the whole call.
  local stop = work - (#others == 0 and share or min(share, SEARCH_SHARE))
  while rank < size and #rows < wanted and work > stop and bytes > 0 do
    local count = #others == 0 and min(wanted - #rows, max(1, floor((work - stop) / ROW_COST))) or EXAMINED_AT_ONCE
    local examined = call('ZRANGE', key, rank, rank + count - 1, 'WITHSCORES')
    local is_in = in_others(others, examined)
    for i = 1, #examined, 2 do
      member, score = examined[i], examined[i + 1]
      rank, work = rank + 1, work - 1
      if not is_in or is_in[(i + 1) / 2] == nil then
        rows[#rows + 1] = fetch(member, score, with_refused)
        work = work - ROW_COST
        if #rows == wanted or work <= stop or bytes <= 0 then break end
      end
    end
  end
  if rank >= size then return {'all', rows, rank - first} end
  return {'more', rows, rank - first, score, member}
end

local function without_ledger(flat)
  local plain = {}
  for i = 1, #flat, 2 do
    if not find(flat[i], '#', 1, true) then
      plain[#plain + 1] = flat[i]
      plain[#plain + 1] = flat[i + 1]
    end
  end
  return plain
end

local lookups = {}
for line in gmatch(ARGV[field_count + 5], '[^\n]+') do
  local wanted, with_refused, score, member, rest = match(line, '^(%d+)\t([01])\t([^\t]*)\t([^\t]*)(.*)$')
  local names = {}
  for name in gmatch(rest, '[^\t]+') do names[#names + 1] = name end
  lookups[#lookups + 1] = {names, tonumber(wanted), with_refused == '1', score, member}
end

local time = call('TIME')
local reply = {
  string.format('%d%03d', time[1], floor(time[2] / 1000)),
  call('HGETALL', KEYS[1]), without_ledger(call('HGETALL', KEYS[2])), call('HGETALL', KEYS[3]),
}
for i, lookup in ipairs(lookups) do
  local names, wanted, with_refused, score, member = unpack(lookup)
  if work > 0 and bytes > 0 then
    local share = max(MINIMUM_SHARE, floor(work / (#lookups - i + 1)))
    reply[#reply + 1] = look_up(names, wanted, with_refused, score, member, share)
  else
    reply[#reply + 1] = {'more', {}, 0, score, member}
  end
end
return reply
