-- For scripts that deal with identifiers: how the hash of a job has them (schemas/job_hash.py).

local HASH_DIGITS = 64

-- Answers an identifier as the hash has it.
local function stored_identifier(text)
  if #text == HASH_DIGITS + 2 and string.find(text, '^0x[0-9a-f]+$') then return string.sub(text, 3) end
  if #text == HASH_DIGITS and string.find(text, '^[0-9a-f]+$') then return ' ' .. text end
  return text
end

-- Answers the identifier that the hash has so.
local function identifier_in(stored)
  if #stored == HASH_DIGITS and string.find(stored, '^[0-9a-f]+$') then return '0x' .. stored end
  if string.sub(stored, 1, 1) == ' ' then return string.sub(stored, 2) end
  return stored
end
