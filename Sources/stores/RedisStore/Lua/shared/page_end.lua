-- include collect
-- The end of the scripts that read pages of messages. It reads these variables:
--
-- - `entries`, `ids`: the stream's entries of the page, and their numbers.
-- - `low`, `high`: the lowest and the highest root whose thread is wanted.
-- - `is_shown`: a function that tells whether the page contains a message.
-- - `has_more`: whether the range has more messages.
-- - `below`, `below_ids`: the amended entries below the page, and their numbers.
-- - `has_references`: whether threads, and messages to which the page replies, are wanted.
--
-- Returns head, oldest, revision, the stream's entries, the amendments of all messages that it
-- returns (number, amendment, …), the amended entries below, the entries to which the page
-- replies, the threads (the entry of the last reply, the number of replies, …), and 1 if the range
-- has more messages.
local overlays, targets, threads = {}, {}, {}
for _, entry in ipairs(entries) do
  local to = tonumber(string.match(entry[2][4] or '', '^(%d+) ') or 0)
  if has_references and to >= oldest and to <= head and not is_shown(to) then
    local id = string.format('%.0f', to)
    -- Several messages may reply to one.
    targets[id] = targets[id] or redis.call('XRANGE', log, id, id)[1]
    if not targets[id] then
      return redis.error_reply('DAMAGED ' .. log .. ' lacks message ' .. id)
    end
  end
end
for _, id in ipairs(below_ids) do ids[#ids + 1] = id end
local replied = {}
for id, entry in pairs(targets) do
  replied[#replied + 1] = entry
  ids[#ids + 1] = id
end
if arev > 0 and #ids > 0 then
  local damage = collect(prefix .. 'amend:' .. name, ids, overlays)
  if damage then return damage end
end
local index = prefix .. 'threads:' .. name
if has_references and low <= high and redis.call('EXISTS', index) == 1 then
  local from, to = string.format('[%016x', low), string.format('(%016x', high + 1)
  while true do
    local found = redis.pcall('ZRANGEBYLEX', index, from, to, 'LIMIT', 0, 1)
    if found.err then
      return redis.error_reply('DAMAGED ' .. index .. ' is not a sorted set')
    end
    if not found[1] then break end
    local parent = string.sub(found[1], 1, 16)
    local start, behind = '[' .. parent .. ':', '(' .. parent .. ';'
    local last = redis.call('ZREVRANGEBYLEX', index, behind, start, 'LIMIT', 0, 1)[1]
    if not last then
      return redis.error_reply('DAMAGED ' .. index .. ' has the malformed entry ' .. found[1])
    end
    threads[#threads + 1] = last
    threads[#threads + 1] = redis.call('ZLEXCOUNT', index, start, behind)
    from = '[' .. parent .. ';'
  end
end
return {head, oldest, rev, entries, overlays, below, replied, threads, has_more and 1 or 0}
