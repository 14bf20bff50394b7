#!lua
-- keys: outbox
-- arguments: group consumer limit idle is_recovery position
-- Takes a group's next events, at most `limit`. ARGV: the idle time in milliseconds after which
-- another consumer's events are taken over; 1 if the consumer takes its own events once more, and
-- then behind which position.
--
-- Returns an `OutboxProgress`, and the events. Events are taken over from the oldest on and only
-- up to the first that its consumer has touched, so that no event passes an earlier one of its
-- conversation.
-- include outbox_headers
limit, idle = tonumber(limit), tonumber(idle)
local recovers = is_recovery == '1'
if redis.call('EXISTS', outbox) == 0 then return {0, {}} end
local pending = redis.pcall('XPENDING', outbox, group)
if pending.err then
  if string.find(pending.err, 'NOGROUP', 1, true) ~= 1 then
    return redis.error_reply('DAMAGED ' .. outbox .. ' is not a stream')
  end
  redis.call('XGROUP', 'CREATE', outbox, group, '0')
  pending = {0}
end
local has_others, has_own = false, false
for _, other in ipairs(pending[4] or {}) do
  if tonumber(other[2]) > 0 then
    if other[1] == consumer then has_own = true else has_others = true end
  end
end
if has_others or recovers and has_own then
  local ids, from, is_over = {}, recovers and position or '-', false
  repeat
    local page = redis.call('XPENDING', outbox, group, from, '+', 500)
    for _, entry in ipairs(page) do
      if not is_over and (recovers or entry[2] ~= consumer) then
        if entry[2] ~= consumer and entry[3] < idle or #ids >= limit then
          is_over = true
        else
          ids[#ids + 1] = entry[1]
        end
      end
    end
    if #page < 500 then is_over = true end
    if #page > 0 then from = '(' .. page[#page][1] end
  until is_over
  if #ids > 0 then
    return {2, headers(redis.call('XCLAIM', outbox, group, consumer, 0, unpack(ids)))}
  end
  if has_others then return {1, {}} end
end
local read = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', limit, 'STREAMS', outbox,
  '>')
local entries = headers(read and read[1][2])
return {#entries < limit and 0 or 2, entries}
