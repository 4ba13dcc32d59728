-- Raises the time before which a job's last news must not be; it never falls.
--
-- KEYS[1]  the catalog (hash)
-- ARGV[1]  name of its field
-- ARGV[2]  the wanted cutoff, a sortable time
-- Answers the cutoff in force.

-- Lua's own < follows the server's locale; times have a fixed width and are compared as bytes.
local function is_less(a, b)
  for i = 1, math.max(#a, #b) do
    local x, y = string.byte(a, i) or -1, string.byte(b, i) or -1
    if x ~= y then return x < y end
  end
  return false
end

local in_force = redis.call('HGET', KEYS[1], ARGV[1])
if in_force and not is_less(in_force, ARGV[2]) then return in_force end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return ARGV[2]
