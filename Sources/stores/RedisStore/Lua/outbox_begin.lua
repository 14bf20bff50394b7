#!lua
-- keys: outbox
-- arguments: group consumer position
-- Touches a taken event and returns its fields, or nothing if it is not the consumer's any more.
-- include outbox_is_mine
-- include outbox_fields
if not is_mine() then return false end
local claimed = redis.call('XCLAIM', outbox, group, consumer, 0, position)[1]
if not claimed or not claimed[2] then return false end
local fields = fields_of(claimed)
return {fields.k or '', fields.i or '', fields.t or '', fields.q or '0', fields.b or ''}
