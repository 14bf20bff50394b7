#!lua
-- Deletes or extends the lock of a copy if this process has it. ARGV: the process, and the lock's
-- lifetime in milliseconds, or 0.
if redis.call('GET', lock) ~= process then return 0 end
if lifetime == '0' then return redis.call('DEL', lock) end
return redis.call('PEXPIRE', lock, lifetime)
