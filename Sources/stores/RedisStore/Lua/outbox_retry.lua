#!lua
-- keys: outbox letters
-- arguments: now limit positions...
-- Moves dead letters back to the outbox, whose bound is `limit`; or drops them if `now` is empty.
-- include outbox_fields
for index = POSITIONS, #ARGV do
  local entry = redis.call('XRANGE', letters, ARGV[index], ARGV[index])[1]
  if entry and now ~= '' then
    local fields = fields_of(entry)
    redis.call('XADD', outbox, 'MAXLEN', '~', limit, '*', 'k', fields.k or '',
      'i', fields.i or '', 't', fields.t or '', 'q', now, 'b', fields.b or '',
      'g', fields.g or '')
  end
  redis.call('XDEL', letters, ARGV[index])
end
if redis.call('XLEN', letters) == 0 then redis.call('DEL', letters) end
return 0
