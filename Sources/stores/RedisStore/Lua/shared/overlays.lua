-- include collect
-- The amendments of messages: number, amendment, …; then an error reply if they are damaged.
local function overlays(ids)
  local amendments = {}
  if arev == 0 or #ids == 0 then return amendments end
  return amendments, collect(prefix .. 'amend:' .. name, ids, amendments)
end
