#!lua flags=no-writes
-- keys: key
-- arguments: history through since limit bytes
-- Messages up to the number `through`, amended after the revision `since`, in the order of their
-- amendments. `limit` and `bytes` are the most messages and bytes.
--
-- Returns the same as `page`, but only the amended entries and their amendments.
-- include reading
-- include amended_since
since, limit, bytes = tonumber(since), tonumber(limit), tonumber(bytes)
local has_more = 0
local overlays, below = {}, {}
if arev > since and limit > 0 then
  local found = amended_since(since, tonumber(through))
  if found.err then return found end
  table.sort(found, function(one, other) return one[1] < other[1] end)
  for n = 1, #found do
    if n > limit or bytes <= 0 then
      has_more = 1
      break
    end
    local number, value = found[n][2], found[n][3]
    local entry = redis.call('XRANGE', log, number, number)[1]
    if not entry then
      return redis.error_reply('DAMAGED ' .. log .. ' lacks message ' .. number)
    end
    bytes = bytes - #entry[2][2] - #value
    below[#below + 1] = entry
    overlays[#overlays + 1] = number
    overlays[#overlays + 1] = value
  end
end
return {head, oldest, rev, {}, overlays, below, {}, {}, has_more}
