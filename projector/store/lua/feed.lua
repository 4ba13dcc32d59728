-- For scripts that change jobs: they note in the feed of the bucket which ones, in the same step, so that readers can
-- follow them. An entry of the feed has the fields
--
--   check  8 digits that tell it from another entry that got the same id after Redis had lost the first one
--   jobs   the members of the jobs that changed, with spaces between them; '*' when they were too many to be named
--   gone   the jobs that were let go, a line for each: owner, agreementId, jobId and attempt, with tabs between them
--
-- The feed is no truth: whoever cannot go on in it reads the jobs themselves. So one that is damaged is begun anew, and
-- it is trimmed by number and by age, when something is added; its last entry always stays.

local FEED_ENTRIES, FEED_MILLISECONDS, FEED_JOBS = 10000, 600000, 100
local LONGEST_MILLISECONDS = 15 -- digits; of our time they have 13

-- Whether it cannot be gone on with: of a wrong type, or somebody has moved its ids to the end of time.
local function is_damaged_feed(id)
  return type(id) == 'table' or not string.find(id, '-', 1, true) or string.find(id, '-', 1, true) > LONGEST_MILLISECONDS
end

-- Notes members that changed and jobs that are gone; `salt` is what the check is made of, such as the positions reached.
-- Answers whether the feed was damaged, and begun anew.
local function note_changes(key, salt, jobs, gone)
  local members = #jobs > FEED_JOBS and '*' or table.concat(jobs, ' ')
  local entry = {'check', string.sub(redis.sha1hex(salt), 1, 8), 'jobs', members, 'gone', gone}
  local id = redis.pcall('XADD', key, 'MAXLEN', '~', FEED_ENTRIES, '*', unpack(entry))
  local was_damaged = is_damaged_feed(id)
  if was_damaged then
    redis.call('DEL', key)
    id = redis.call('XADD', key, '*', unpack(entry))
  end
  local oldest = tonumber(string.match(id, '^%d+')) - FEED_MILLISECONDS
  redis.call('XTRIM', key, 'MINID', '~', string.format('%d-0', oldest))
  return was_damaged
end
