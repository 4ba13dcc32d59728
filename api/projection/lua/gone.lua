-- Answers which jobs of a jobId went, and when. Writes nothing.
--
-- KEYS[1]  jobs that went (sorted set), by what is remembered of each, see schemas/gone_job.py
-- KEYS[2]  the same, by when they went, in milliseconds of Redis' clock (sorted set)
-- ARGV[1]  what the entries of the jobId begin with
-- ARGV[2]  what stands behind all of them
-- ARGV[3]  the most that are looked at
-- Answers {entry, milliseconds, entry, milliseconds ...}; nothing where a key is of a wrong type.

local found = {}
local entries = redis.pcall('ZRANGEBYLEX', KEYS[1], '[' .. ARGV[1], '(' .. ARGV[2], 'LIMIT', 0, ARGV[3])
for _, entry in ipairs(entries.err and {} or entries) do
  local went = redis.pcall('ZSCORE', KEYS[2], entry)
  if type(went) == 'string' then
    found[#found + 1] = entry
    found[#found + 1] = went
  end
end
return found
