-- include entry_size
-- include read_range
-- Reads messages in steps from one end of a range, up to a number of bytes, and also returns the
-- numbers between which they lie. It reads at most one step more than it returns.
local function read_page(low, high, is_up, room)
  local step, found, names = 32, {}, {}
  if room >= 2 ^ 52 then step = high - low + 1 end
  local from, to = low, high
  while from <= to and room > 0 do
    local lowest = is_up and from or math.max(from, to - step + 1)
    local highest = is_up and math.min(to, from + step - 1) or to
    local entries, ids = read_range(lowest, highest)
    if entries.err then return entries end
    for n = 1, #entries do
      local position = is_up and n or #entries + 1 - n
      if room <= 0 then break end
      found[#found + 1], names[#names + 1] = entries[position], ids[position]
      room = room - entry_size(entries[position], ids[position])
    end
    if is_up then from = highest + 1 else to = lowest - 1 end
  end
  if is_up then return found, names, low, low + #found - 1 end
  local entries, ids = {}, {}
  for n = #found, 1, -1 do
    entries[#entries + 1], ids[#ids + 1] = found[n], names[n]
  end
  return entries, ids, high - #found + 1, high
end
