#!lua flags=no-writes
-- keys: letters
-- arguments: limit
-- Returns the oldest dead letters, at most `limit`.
-- include outbox_headers
return headers(redis.call('XRANGE', letters, '-', '+', 'COUNT', limit))
