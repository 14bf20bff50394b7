/// The scripts for a tenant's numbers. One hash holds them: `u:<user>` has a user's number,
/// `n:<number>` the user of a number, `minted` how many exist, and `counted` the tenant's counter.
enum NumberScripts {
    /// Returns the numbers of users and assigns missing ones. KEYS: the hash. ARGV: the first
    /// possible number, and the users.
    ///
    /// It writes `minted` even if nothing is assigned. Once a replica has this write, it also has
    /// the numbers that another connection assigned; no number may be answered before.
    static let numbers = """
        #!lua
        local key, fields, latest, missing = KEYS[1], {}, {}, 0
        for index = 2, #ARGV do fields[index - 1] = 'u:' .. ARGV[index] end
        if #fields == 0 then return {} end
        local found = redis.pcall('HMGET', key, unpack(fields))
        if found.err then return redis.error_reply('DAMAGED ' .. key .. ' is not a hash') end
        for index, field in ipairs(fields) do
          if found[index] then
            if not tonumber(found[index]) then
              return redis.error_reply('DAMAGED ' .. key .. ' has no number in ' .. field)
            end
          elseif latest[field] == nil then
            latest[field], missing = false, missing + 1
          end
        end
        local minted = redis.pcall('HINCRBY', key, 'minted', missing)
        if type(minted) == 'table' or minted < missing or minted > 2 ^ 51 then
          return redis.error_reply('DAMAGED ' .. key .. ' has no count in minted')
        end
        local number = tonumber(ARGV[1]) + minted - missing
        for index, field in ipairs(fields) do
          if not found[index] then
            if not latest[field] then
              latest[field] = string.format('%.0f', number)
              redis.call('HSET', key, field, latest[field], 'n:' .. latest[field], ARGV[index + 1])
              number = number + 1
            end
            found[index] = latest[field]
          end
        end
        return found
        """

    /// Increments the counter. KEYS: the hash. Returns the new value.
    static let next = """
        #!lua
        local number = redis.pcall('HINCRBY', KEYS[1], 'counted', 1)
        if type(number) == 'table' or number < 1 then
          return redis.error_reply('DAMAGED ' .. KEYS[1] .. ' has no count in counted')
        end
        return number
        """

    /// Returns the users of numbers. KEYS: the hash. ARGV: the numbers.
    static let users = """
        #!lua flags=no-writes
        local fields = {}
        for index = 1, #ARGV do fields[index] = 'n:' .. ARGV[index] end
        if #fields == 0 then return {} end
        local found = redis.pcall('HMGET', KEYS[1], unpack(fields))
        if found.err then return redis.error_reply('DAMAGED ' .. KEYS[1] .. ' is not a hash') end
        return found
        """
}
