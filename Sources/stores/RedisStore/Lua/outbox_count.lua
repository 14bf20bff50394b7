#!lua flags=no-writes
-- keys: outbox letters
-- Returns how many entries the outbox has, and how many dead letters there are.
return {redis.call('XLEN', outbox), redis.call('XLEN', letters)}
