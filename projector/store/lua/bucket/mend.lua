-- Removes what is damaged of what a bucket keeps beside its jobs; all of it is made again.
--
-- KEYS[1]  meta of the bucket (hash)
-- KEYS[2]  positions of the bucket (hash)
-- KEYS[3]  heartbeats of the bucket (hash)
-- ARGV[1]  the most digits of a number
-- ARGV[2]  fingerprint suffix of the fields of positions
-- ARGV[3]  what fields of meta begin with that are floors
-- Answers the names of what was removed: keys, and fields as "<key> <field>".
--
-- A position goes with its ledger: what is below it is applied, and counted, again.

local call = redis.call
local most_digits, fingerprint, floor = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local removed = {}

-- Removes the fields that are not right; `belongs(field)` names what another field of the key goes with, if anything.
local function mend(key, is_right, belongs)
  local kind = call('TYPE', key).ok
  if kind == 'none' then return end
  if kind ~= 'hash' then
    call('DEL', key)
    removed[#removed + 1] = key
    return
  end
  local content, gone = call('HGETALL', key), {}
  for i = 1, #content, 2 do
    if not is_right(content[i], content[i + 1]) then
      gone[content[i]] = true
      removed[#removed + 1] = key .. ' ' .. content[i]
    end
  end
  for i = 1, #content, 2 do
    if gone[content[i]] or gone[belongs(content[i])] then call('HDEL', key, content[i]) end
  end
end

local function is_number(text)
  return #text <= most_digits and (text == '0' or string.match(text, '^[1-9]%d*$'))
end
local function to_itself(field) return field end

local function is_right_in_meta(field, value)
  if field == 'incarnation' then return string.match(value, '^[ -~]+$') end
  return is_number(value) or not (field == 'sealed' or string.find(field, floor, 1, true) == 1)
end

local function is_right_in_positions(field, value)
  if string.sub(field, -#fingerprint) == fingerprint then return string.match(value, '^%d+:%x+$') end
  return is_number(value)
end

local function to_position(field) return string.match(field, '^([^#]*)#') or field end

local function is_right_in_heartbeats(_, value)
  local time, log_end, code = string.match(value, '^(%d+) ([%d-]+)(.*)$')
  local is_known = time and is_number(time) and (log_end == '-' or is_number(log_end))
  return is_known and (code == '' or string.match(code, '^ [%l-]+$'))
end

mend(KEYS[1], is_right_in_meta, to_itself)
mend(KEYS[2], is_right_in_positions, to_position)
mend(KEYS[3], is_right_in_heartbeats, to_itself)
return removed
