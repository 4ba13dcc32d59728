-- Answers many lookups in one bucket, in one step, with where the bucket stands at that moment. Writes nothing.
--
-- KEYS[1]  meta of the bucket (hash)
-- KEYS[2]  positions of the bucket (hash)
-- KEYS[3]  heartbeats of the bucket (hash)
-- KEYS[4]  refused events of the bucket that name a job, by that (sorted set)
-- KEYS[5]  the feed of the bucket (stream, see projector/store/lua/feed.lua)
-- ARGV[1]  base: what every key of the bucket starts with
-- ARGV[2]  name of a job's key, to be followed by its member
-- ARGV[3]  how many fields of a job are wanted, n
-- ARGV[4 .. 3 + n]  their names
-- ARGV[4 + n]  how many of the first of them are never cut into pieces
-- ARGV[5 + n]  those of them that mostly go on in a second piece, m, with a space between
-- ARGV[6 + n]  the most bytes of rows in a reply; one row may go beyond it
-- ARGV[7 + n]  the lookups, a line for each, in fields with a tab between them (identifiers hold no control characters):
--   number of jobs wanted, 1 when the refused events of each are wanted too (else 0), score and member to go on after
--   (both empty for the start; only the member empty for the start of that score), then the names of the indexes, all of
--   which must have a job (none: there is nothing to find);
--   or, of what changed: number of entries wanted, 0, id of the entry to go on after ('0-0' where there was no feed), its
--   check and how many jobs of the next entry are known, with a space between, '#changes', and the names of the indexes
-- Answers {milliseconds of Redis' clock, meta, positions, heartbeats, last entry, answer, answer ...}; the three hashes
-- are flat arrays, positions without what follows '#'; the last entry of the feed is {id, check}, empty where there is
-- none. An answer, one for each lookup, begins with its reason:
--   all {rows, looked at}                  there are no more; how many members were looked at for these rows
--   more {rows, looked at, score, member, left}  there may be more after these; perhaps none was looked at yet. So many
--     are left that are surely found: the rest of the index; 0 where there are several, or none was looked at
--   damaged {key}                          the key of an index is of a wrong type
--   changed {rows, gone, id, check, jobs known of the next entry, 1 when there are no more entries, 1 when the jobs were
--     too many to be named}                jobs as they are now, each once; gone is as in the entries
--   lost {}                                the entry to go on after is not there, so nobody knows what came after it
-- A row is the fields in the order given (nil where the job has none; all of them where no job is stored or its key is of
-- a wrong type), then what the m of them go on with (nil where they do not), then the refused events that name the job, a
-- line for each (nil where there are none or they are not wanted, '' where their key is of a wrong type), then score and
-- member.
--
-- Redis does nothing else meanwhile, so the work is limited: in units of about a microsecond, and in bytes. Whoever is
-- not served in full asks again with the score and member that were answered.

local WORK, MINIMUM_SHARE, SEARCH_SHARE = 2000, 40, 600
local PIECE = 64 -- bytes
local LOOKUP_COST, ROW_COST, ENTRY_COST, EXAMINED_AT_ONCE = 4, 6, 2, 200
local CHANGES, NO_ENTRY = '#changes', '0-0'

local call, pcall = redis.call, redis.pcall
local byte, find, gmatch, match = string.byte, string.find, string.gmatch, string.match
local floor, max, min = math.floor, math.max, math.min
local base, job_key, field_count = ARGV[1], ARGV[2], tonumber(ARGV[3])
local fields = {unpack(ARGV, 4, field_count + 3)}
local work, bytes = WORK, tonumber(ARGV[field_count + 6])

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

-- What is asked of each job at first; of each of that, the name of its field, and which piece is asked for after it, where
-- one is. To join the two pieces that most have takes longer here than where the reply goes.
local asked, names_of, next_of = {unpack(fields)}, {unpack(fields)}, {}
local seconds = ' ' .. ARGV[field_count + 5] .. ' '
for i = ARGV[field_count + 4] + 1, field_count do
  if find(seconds, ' ' .. fields[i] .. ' ', 1, true) then
    asked[#asked + 1], names_of[#asked + 1], next_of[#asked + 1] = fields[i] .. ':2', fields[i], 3
  else
    next_of[i] = 2
  end
end

-- A register of 64 bytes goes on in pieces behind it (schemas/job_hash.py), until one is shorter. Adds these to a row at
-- the places that are cut.
local function complete(row, key, cut)
  local further, names = 0, {}
  while true do
    for i = 1, #cut do names[i] = names_of[cut[i]] .. ':' .. next_of[cut[i]] + further end
    local longer = {}
    local pieces = call('HMGET', key, unpack(names))
    for i = 1, #cut do
      local at, piece = cut[i], pieces[i]
      if piece then
        row[at] = row[at] .. piece
        bytes = bytes - #piece
        if #piece == PIECE then longer[#longer + 1] = at end
      end
    end
    if #longer == 0 then return end
    cut, further, names = longer, further + 1, {}
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
  local row, count, cut, size = pcall('HMGET', key, unpack(asked)), #asked, nil, 0
  if row.err then
    row = {}
    for i = 1, count do row[i] = false end
  end
  for i = 1, count do
    local value = row[i]
    if value then
      local length = #value
      size = size + length
      if length == PIECE and next_of[i] then
        cut = cut or {}
        cut[#cut + 1] = i
      end
    end
  end
  bytes = bytes - size
  if cut then complete(row, key, cut) end
  row[count + 1] = with_refused and refused_of(member) or false
  if row[count + 1] then bytes = bytes - #row[count + 1] end
  row[count + 2], row[count + 3] = score, member
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
  return {'more', rows, rank - first, score, member, #others == 0 and size - rank or 0}
end

-- Whether a job is in every one of the indexes.
local function is_in_all(indexes, member)
  for _, name in ipairs(indexes) do
    local score = pcall('ZSCORE', base .. name, member)
    if not score or type(score) == 'table' then return false end
  end
  work = work - #indexes
  return true
end

-- Adds the jobs of an entry that were not added yet, but for the first `known`; answers how many of its jobs were looked
-- at when the work or the bytes ran out before the last.
local function add_jobs(rows, seen, indexes, members, known)
  local count = 0
  for member in gmatch(members, '[^ ]+') do
    if count >= known and not seen[member] then
      if work <= 0 or bytes <= 0 then return count end
      seen[member], work = true, work - 1
      if is_in_all(indexes, member) then
        rows[#rows + 1] = fetch(member, '0', false)
        work = work - ROW_COST
      end
    end
    count = count + 1
  end
end

local function look_up_changes(indexes, wanted, id, check, known, last)
  if id == NO_ENTRY and not last[1] then return {'changed', {}, {}, id, check, 0, 1, 0} end
  if work <= 0 or bytes <= 0 then return {'changed', {}, {}, id, check, known, 0, 0} end
  wanted = min(wanted, max(1, floor(work / ENTRY_COST)))
  local entries = pcall('XRANGE', KEYS[5], id, '+', 'COUNT', wanted + 1)
  local first = not entries.err and entries[1]
  if not first or first[1] ~= id or first[2][2] ~= check then return {'lost'} end
  local rows, gone, seen = {}, {}, {}
  work = work - LOOKUP_COST - ENTRY_COST * #entries
  for i = 2, #entries do
    local entry = entries[i][2]
    if (entry[4] or '*') == '*' then return {'changed', {}, {}, last[1], last[2], 0, 1, 1} end
    local looked_at = add_jobs(rows, seen, indexes, entry[4], known)
    if looked_at then return {'changed', rows, gone, id, check, looked_at, 0, 0} end
    if (entry[6] or '') ~= '' then gone[#gone + 1] = entry[6] end
    id, check, known = entries[i][1], entry[2], 0
  end
  return {'changed', rows, gone, id, check, 0, #entries <= wanted and 1 or 0, 0}
end

local function last_entry()
  local entries = pcall('XREVRANGE', KEYS[5], '+', '-', 'COUNT', 1)
  if entries.err or not entries[1] then return {} end
  return {entries[1][1], entries[1][2][2] or ''}
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
for line in gmatch(ARGV[field_count + 7], '[^\n]+') do
  local wanted, with_refused, score, member, rest = match(line, '^(%d+)\t([01])\t([^\t]*)\t([^\t]*)(.*)$')
  local names = {}
  for name in gmatch(rest, '[^\t]+') do names[#names + 1] = name end
  lookups[#lookups + 1] = {names, tonumber(wanted), with_refused == '1', score, member}
end

local time, last = call('TIME'), last_entry()
local reply = {
  string.format('%d%03d', time[1], floor(time[2] / 1000)),
  call('HGETALL', KEYS[1]), without_ledger(call('HGETALL', KEYS[2])), call('HGETALL', KEYS[3]), last,
}
for i, lookup in ipairs(lookups) do
  local names, wanted, with_refused, score, member = unpack(lookup)
  if names[1] == CHANGES then
    local check, known = match(member, '^(%S*) (%d+)$')
    reply[#reply + 1] = look_up_changes({unpack(names, 2)}, wanted, score, check, tonumber(known), last)
  elseif work > 0 and bytes > 0 then
    local share = max(MINIMUM_SHARE, floor(work / (#lookups - i + 1)))
    reply[#reply + 1] = look_up(names, wanted, with_refused, score, member, share)
  else
    reply[#reply + 1] = {'more', {}, 0, score, member, 0}
  end
end
return reply
