#!lua flags=no-writes
-- keys: key
-- arguments: history
-- Everything but the messages. Returns the hash, the members, the oldest sequence number, and the
-- pinned messages (number, message, …).
-- include reading
local members = redis.pcall('HGETALL', prefix .. 'members:' .. name)
if members.err then
  return redis.error_reply('DAMAGED ' .. prefix .. 'members:' .. name .. ' is not a hash')
end
local pins = redis.pcall('HGETALL', prefix .. 'pins:' .. name)
if pins.err then
  return redis.error_reply('DAMAGED ' .. prefix .. 'pins:' .. name .. ' is not a hash')
end
return {redis.call('HGETALL', key), members, oldest, pins}
