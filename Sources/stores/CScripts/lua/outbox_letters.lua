#!lua flags=no-writes
-- Returns the oldest dead letters, at most `limit`.
-- include outbox_headers
return headers(redis.call('XRANGE', letters, '-', '+', 'COUNT', limit))
