#!lua
-- keys: lock
-- arguments: process lifetime
-- Deletes or extends the lock of a copy if this process has it. `lifetime` is in
-- milliseconds; 0 deletes the lock.
if redis.call('GET', lock) ~= process then return 0 end
if lifetime == '0' then return redis.call('DEL', lock) end
return redis.call('PEXPIRE', lock, lifetime)
