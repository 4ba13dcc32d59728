-- For scripts that compute with what is stored: what is no number was damaged by somebody, and is told as such.

local function number_in(text)
  return tonumber(text) or error('damaged: a stored number is none', 0)
end
