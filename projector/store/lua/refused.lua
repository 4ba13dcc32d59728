-- For scripts that remember refused events, see schemas/refused_event.py.

-- Adds entries to what a bucket remembers, and takes out what is not among the newest.
--
-- by_job, by_time  keys of the two sorted sets; a key of another type is made anew: it says nothing that must not be lost
-- entries          flat array of {member, milliseconds, entry}
-- of_job, of_all   how many of a job, and of all, are remembered
local function remember_refused(by_job, by_time, entries, of_job, of_all)
  local call = redis.call
  if #entries == 0 then return end
  for _, key in ipairs({by_job, by_time}) do
    local kind = call('TYPE', key).ok
    if kind ~= 'zset' and kind ~= 'none' then call('DEL', key) end
  end
  for i = 1, #entries, 3 do
    local member, entry = entries[i], entries[i + 2]
    call('ZADD', by_job, 0, entry)
    call('ZADD', by_time, entries[i + 1], entry)
    local first, last = '[' .. member .. '\t', '(' .. member .. '\n'
    local surplus = call('ZLEXCOUNT', by_job, first, last) - of_job
    if surplus > 0 then
      for _, oldest in ipairs(call('ZRANGEBYLEX', by_job, first, last, 'LIMIT', 0, surplus)) do
        call('ZREM', by_job, oldest)
        call('ZREM', by_time, oldest)
      end
    end
  end
  local surplus = call('ZCARD', by_time) - of_all
  for _ = 1, surplus do call('ZREM', by_job, call('ZPOPMIN', by_time)[1]) end
end
