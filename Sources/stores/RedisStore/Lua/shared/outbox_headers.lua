-- include outbox_fields
-- The fields of entries without their bodies: for each its position and eight texts.
local function headers(entries)
  local list = {}
  for _, entry in ipairs(entries or {}) do
    if entry and entry[2] then
      local fields = fields_of(entry)
      list[#list + 1] = {entry[1], fields.k or '', fields.i or '', fields.t or '',
        fields.q or '0', fields.g or '', fields.n or '0', fields.r or '', fields.d or '0'}
    end
  end
  return list
end
