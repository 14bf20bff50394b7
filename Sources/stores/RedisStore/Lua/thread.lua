#!lua flags=no-writes
-- keys: key
-- arguments: history root mode number limit bytes
-- A thread: its root, if it is retained, and the replies. ARGV: as for `page`.
--
-- Returns what `page_end` says.
-- include reading
-- include entry_size
root, number, limit, bytes = tonumber(root), tonumber(number), tonumber(limit), tonumber(bytes)
local entries, below, ids, below_ids, shown = {}, {}, {}, {}, {}
local low, high, has_references, has_more = 1, 0, true, false
local function is_shown(to) return shown[to] end
if limit > 0 and root <= head then
  local replies = prefix .. 'threads:' .. name
  local lowest, highest = math.max(root + 1, oldest), head
  local is_up, has_root, found = mode == 'after', root >= oldest, {}
  if mode == 'before' then
    highest, has_root = math.min(highest, number - 1), has_root and root < number
  elseif is_up then
    lowest, has_root = math.max(lowest, number + 1), has_root and root > number
  end
  -- One more shows whether there are more.
  if lowest <= highest then
    local from = string.format('[%016x:%016x', root, lowest)
    local to = string.format('[%016x:%016x', root, highest)
    if is_up then
      found = redis.pcall('ZRANGEBYLEX', replies, from, to, 'LIMIT', 0, limit + 1)
    else
      found = redis.pcall('ZREVRANGEBYLEX', replies, to, from, 'LIMIT', 0, limit + 1)
    end
    if found.err then
      return redis.error_reply('DAMAGED ' .. replies .. ' is not a sorted set')
    end
  end
  -- From the end at which the page begins.
  local wanted = {}
  if is_up and has_root then wanted[1] = string.format('%.0f', root) end
  for _, entry in ipairs(found) do
    local reply = tonumber(string.match(entry, '^%x+:(%x+)$') or '', 16)
    if not reply then
      return redis.error_reply('DAMAGED ' .. replies .. ' has the malformed entry ' .. entry)
    end
    wanted[#wanted + 1] = string.format('%.0f', reply)
  end
  if not is_up and has_root then wanted[#wanted + 1] = string.format('%.0f', root) end
  for position, id in ipairs(wanted) do
    if position > limit or bytes <= 0 then
      has_more = true
      break
    end
    local entry = redis.call('XRANGE', log, id, id)[1]
    if not entry then
      return redis.error_reply('DAMAGED ' .. log .. ' lacks message ' .. id)
    end
    bytes = bytes - entry_size(entry, id)
    local place = is_up and #entries + 1 or 1
    table.insert(entries, place, entry)
    table.insert(ids, place, id)
    shown[tonumber(id)] = true
  end
  if shown[root] then low, high = root, root end
end
-- include page_end
