-- keys: key
-- Uses the commands of the store's scripts. Writes to a key of its own, which expires after a
-- second if the script fails halfway.
redis.call('SET', key, '1', 'PX', 1000)
redis.call('DEL', key)
redis.call('HSET', key, 'a', '1')
redis.call('PEXPIRE', key, 1000)
redis.call('HGET', key, 'a')
redis.call('HINCRBY', key, 'a', 1)
redis.call('DEL', key)
redis.call('ZADD', key, 1, 'a')
redis.call('PEXPIRE', key, 1000)
redis.call('ZRANGEBYSCORE', key, '-inf', '+inf')
redis.call('DEL', key)
redis.call('XADD', key, '1-0', 'm', 'x')
redis.call('PEXPIRE', key, 1000)
redis.call('XRANGE', key, '-', '+')
redis.call('XTRIM', key, 'MAXLEN', '~', 10)
redis.call('DEL', key)
return 1
