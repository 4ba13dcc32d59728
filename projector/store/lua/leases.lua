-- What a lease says.

-- A clock that another server tells may be so far off.
local CLOCK_SLACK = 1000

-- Answers the token of a lease and whether it holds at a time, when no lease is longer than `longest` milliseconds.
-- One that ends later than any can was taken by a clock that was set back since, or that of another server: it is over.
local function lease_of(text, now, longest)
  local token, ends = string.match(text or '', '^(%S+) (%d+)')
  local left = token and tonumber(ends) - now or 0
  return token, left > 0 and left <= tonumber(longest) + CLOCK_SLACK
end

local function milliseconds_now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
