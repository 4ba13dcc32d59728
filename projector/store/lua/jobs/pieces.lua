-- For scripts that read registers out of the hash of a job, which has long ones in pieces (schemas/job_hash.py).

local PIECE = 64 -- bytes

-- Answers the text of a register whose pieces are among the fields, or nil.
local function whole(fields, name)
  local text = fields[name]
  local piece, number = text, 2
  while piece and #piece == PIECE do
    piece = fields[name .. ':' .. number]
    text, number = text .. (piece or ''), number + 1
  end
  return text
end
