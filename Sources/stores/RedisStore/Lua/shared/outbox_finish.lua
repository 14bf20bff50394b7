-- include outbox_fields
-- Acknowledges events for the group, and removes those that no group needs any more.
local function finish(groups, ids)
  if redis.call('EXISTS', outbox) == 0 then return end
  redis.call('XACK', outbox, group, unpack(ids))
  local read = {}
  if #groups > 1 then
    for _, info in ipairs(redis.call('XINFO', 'GROUPS', outbox)) do
      local fields = fields_of({'', info})
      read[fields['name']] = fields['last-delivered-id']
    end
  end
  local function is_after(id, other)
    local a, b = string.match(id, '^(%d+)-(%d+)$')
    local c, d = string.match(other, '^(%d+)-(%d+)$')
    a, b, c, d = tonumber(a), tonumber(b), tonumber(c), tonumber(d)
    return a > c or a == c and b > d
  end
  for _, id in ipairs(ids) do
    local is_done = true
    for _, other in ipairs(groups) do
      if other ~= group and (not read[other] or is_after(id, read[other])
        or #redis.call('XPENDING', outbox, other, id, id, 1) > 0) then
        is_done = false
      end
    end
    if is_done then redis.call('XDEL', outbox, id) end
  end
  if redis.call('XLEN', outbox) == 0 then redis.call('DEL', outbox) end
end
