-- Whether a consumer has an event of a group.
local function is_mine()
  local entry = redis.pcall('XPENDING', outbox, group, position, position, 1)
  return not entry.err and entry[1] and entry[1][2] == consumer
end
