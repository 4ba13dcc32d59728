-- For scripts that compare text: Lua's own < follows the server's locale, and what we store is ordered by its bytes.

local sub, byte = string.sub, string.byte
local FEW = 8

-- Whether a stands before b. Equal texts are one in Lua, so they cost nothing however long they are. Others are compared
-- in steps that double until one differs, and are then halved: long texts that differ late cost a few copies of them.
local function is_less(a, b)
  if a == b then return false end
  local at, step = 1, FEW
  while sub(a, at, at + step - 1) == sub(b, at, at + step - 1) do
    at, step = at + step, step * 2
  end
  while step > FEW do
    step = step / 2
    if sub(a, at, at + step - 1) == sub(b, at, at + step - 1) then at = at + step end
  end
  for i = at, at + FEW - 1 do
    local x, y = byte(a, i), byte(b, i)
    if x ~= y then return x == nil or (y ~= nil and x < y) end
  end
end
