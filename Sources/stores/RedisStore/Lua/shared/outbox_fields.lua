-- The fields of an entry by their names.
local function fields_of(entry)
  local fields = {}
  for n = 1, #entry[2], 2 do fields[entry[2][n]] = entry[2][n + 1] end
  return fields
end
