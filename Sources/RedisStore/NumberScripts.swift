/// What Redis does for a tenant's numbers, which are in one hash: `u:<user>` has the user's number, `n:<number>` whose it is, `minted` how many
/// there are, `counted` how far the tenant has counted.
enum NumberScripts {
    /// The numbers of users, who get one if they have none. KEYS: the hash. ARGV: the first number of all, and the users. Answers the numbers.
    ///
    /// `minted` is written even where nothing is minted: what another connection has minted is on a replica once this write is, and not before
    /// may anybody be told of it.
    static let numbers = """
        #!lua
        local key, fields, latest, missing = KEYS[1], {}, {}, 0
        for place = 2, #ARGV do fields[place - 1] = 'u:' .. ARGV[place] end
        if #fields == 0 then return {} end
        local found = redis.pcall('HMGET', key, unpack(fields))
        if found.err then return redis.error_reply('DAMAGED ' .. key .. ' is no hash') end
        for place, field in ipairs(fields) do
          if found[place] then
            if not tonumber(found[place]) then return redis.error_reply('DAMAGED ' .. key .. ' has no number in ' .. field) end
          elseif latest[field] == nil then
            latest[field], missing = false, missing + 1
          end
        end
        local minted = redis.pcall('HINCRBY', key, 'minted', missing)
        if type(minted) == 'table' or minted < missing or minted > 2 ^ 51 then
          return redis.error_reply('DAMAGED ' .. key .. ' has no count in minted')
        end
        local number = tonumber(ARGV[1]) + minted - missing
        for place, field in ipairs(fields) do
          if not found[place] then
            if not latest[field] then
              latest[field] = string.format('%.0f', number)
              redis.call('HSET', key, field, latest[field], 'n:' .. latest[field], ARGV[place + 1])
              number = number + 1
            end
            found[place] = latest[field]
          end
        end
        return found
        """

    /// Counts on by one. KEYS: the hash. Answers the number.
    static let next = """
        #!lua
        local number = redis.pcall('HINCRBY', KEYS[1], 'counted', 1)
        if type(number) == 'table' or number < 1 then return redis.error_reply('DAMAGED ' .. KEYS[1] .. ' has no count in counted') end
        return number
        """

    /// Whose numbers these are. KEYS: the hash. ARGV: the numbers. Answers the users.
    static let users = """
        #!lua flags=no-writes
        local fields = {}
        for place = 1, #ARGV do fields[place] = 'n:' .. ARGV[place] end
        if #fields == 0 then return {} end
        local found = redis.pcall('HMGET', KEYS[1], unpack(fields))
        if found.err then return redis.error_reply('DAMAGED ' .. KEYS[1] .. ' is no hash') end
        return found
        """
}
