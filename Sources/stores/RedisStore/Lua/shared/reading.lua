-- The beginning of all scripts that read a conversation. It sets the conversation's `head`, `rev`,
-- `arev` (revision of the last amendment) and `oldest`, and the names of its keys. Returns false
-- if the conversation does not exist.
history = tonumber(history)
local cut = string.find(key, ':conv:', 1, true)
local prefix, name = string.sub(key, 1, cut), string.sub(key, cut + 6)
local log = prefix .. 'log:' .. name
local fields = redis.pcall('HMGET', key, 'at', 'arev')
if fields.err then return redis.error_reply('DAMAGED ' .. key .. ' is not a hash') end
if not fields[1] then
  if redis.call('EXISTS', key) == 1 then
    return redis.error_reply('DAMAGED ' .. key .. ' has no field at')
  end
  return false
end
local format, rest = string.match(fields[1], '^(%d+)(.*)$')
if format and format ~= '1' then
  return redis.error_reply(
    'DAMAGED ' .. key .. ' has the format ' .. format .. ', which is unknown')
end
local rev, head = string.match(rest or '', '^ (%d+) (%d+) %-?%d+$')
rev, head = tonumber(rev), tonumber(head)
local arev = tonumber(fields[2] or '0')
if not rev or not head or not arev then
  return redis.error_reply('DAMAGED ' .. key .. ' has no numbers in at or arev')
end
local first = redis.pcall('XRANGE', log, '-', '+', 'COUNT', 1)
if first.err then return redis.error_reply('DAMAGED ' .. log .. ' is not a stream') end
local oldest = head + 1
if first[1] then oldest = tonumber(string.match(first[1][1], '^(%d+)%-')) end
if history > 0 and oldest < head - history + 1 then oldest = head - history + 1 end
