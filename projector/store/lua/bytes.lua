-- For scripts that compare text: Lua's own < follows the server's locale, and what we store is ordered by its bytes.

local sub, byte = string.sub, string.byte

local function is_less(a, b)
  local at = 1
  while sub(a, at, at + 7) == sub(b, at, at + 7) do
    if at > #a then return false end
    at = at + 8
  end
  for i = at, at + 7 do
    local x, y = byte(a, i), byte(b, i)
    if x ~= y then return x == nil or (y ~= nil and x < y) end
  end
end
