#!lua
-- keys: key
-- arguments: _ owner epoch expected state amended entry_count entries...
-- group pin: number copy
-- Replaces the state of a conversation that is `expected`, and the revision of its last amendment.
-- ARGV: the missing entries of threads, and number and copy of missing pins.
--
-- Returns `done`, `fenced` if the owner does not hold the shard, or `changed`.
local cut = string.find(key, ':conv:', 1, true)
local prefix, name = string.sub(key, 1, cut), string.sub(key, cut + 6)
local lease = redis.pcall('HGET', prefix .. 'lease', 'owner')
if lease ~= epoch .. ' ' .. owner then return 'fenced' end
if redis.pcall('HGET', key, 'at') ~= expected then return 'changed' end
redis.call('HSET', key, 'at', state, 'arev', amended)
local pins = ENTRIES + entry_count
for index = ENTRIES, pins - 1 do
  redis.call('ZADD', prefix .. 'threads:' .. name, 0, ARGV[index])
end
for index = pins, #ARGV, PIN_SIZE do
  redis.call('HSET', prefix .. 'pins:' .. name, ARGV[index + PIN_NUMBER],
    ARGV[index + PIN_COPY])
end
return 'done'
