#!lua
-- keys: lease
-- arguments: owner view
-- Claims a shard under the next epoch.
--
-- Returns the epoch, which is stored before the owner's name. If the shard was claimed under a
-- later view, changes nothing and returns that view in an array.
local last = redis.call('HGET', lease, 'view')
if last and tonumber(last) > tonumber(view) then return {tonumber(last)} end
local epoch = redis.call('HINCRBY', lease, 'epoch', 1)
redis.call('HSET', lease, 'owner', string.format('%.0f', epoch) .. ' ' .. owner, 'view', view)
return epoch
