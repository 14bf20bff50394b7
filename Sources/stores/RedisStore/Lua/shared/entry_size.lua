-- The bytes that a stream entry, and the text that replaces its own, count in a page.
local function entry_size(entry, id)
  local changed = arev > 0 and redis.pcall('HSTRLEN', prefix .. 'amend:' .. name, id)
  -- A hash of another type is reported when its values are read.
  if type(changed) ~= 'number' then changed = 0 end
  return #entry[2][2] + #(entry[2][4] or '') + changed
end
