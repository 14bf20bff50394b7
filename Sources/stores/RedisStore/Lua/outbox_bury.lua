#!lua
-- keys: outbox letters
-- arguments: group consumer position attempts reason now limit groups...
-- Moves a taken event to the dead letters, of which there are at most `limit`.
--
-- Returns the number of dead letters that were dropped.
-- include outbox_finish
-- include outbox_is_mine
if not is_mine() then return 0 end
local entry = redis.call('XRANGE', outbox, position, position)[1]
local dropped = 0
if entry then
  local fields = fields_of(entry)
  dropped = math.max(0, redis.call('XLEN', letters) + 1 - limit)
  redis.call('XADD', letters, 'MAXLEN', limit, '*', 'k', fields.k or '', 'i', fields.i or '',
    't', fields.t or '', 'b', fields.b or '', 'g', group, 'n', attempts, 'r', reason, 'd', now)
end
finish({unpack(ARGV, GROUPS)}, {position})
return dropped
