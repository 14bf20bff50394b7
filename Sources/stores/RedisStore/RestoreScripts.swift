/// The scripts that write what another store has stored.
enum RestoreScripts {
    /// Writes a part of a conversation that does not exist yet. KEYS: its hash, stream, members,
    /// amendments, threads and pins. ARGV: `begin`, or the id of the stream's last entry (empty if
    /// it has none); then four groups, each after its count: members (user, entry), messages (id,
    /// entry; amendment, references and entry of the thread, each perhaps empty), pins (number,
    /// message) and the fields of the hash (name, value).
    ///
    /// The part with the hash is the last one, because a conversation exists if and only if its
    /// hash does. `begin` removes what an interrupted copy has left. Returns `done`, `exists`, or
    /// `changed` if another process has written to the stream.
    static let conversation = """
        #!lua
        local call, at = redis.call, 2
        if call('EXISTS', KEYS[1]) == 1 then return 'exists' end
        if ARGV[1] == 'begin' then
          call('DEL', unpack(KEYS, 2))
        else
          local last = call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
          if (last and last[1] or '') ~= ARGV[1] then return 'changed' end
        end
        local function each(size, write)
          local count = tonumber(ARGV[at])
          at = at + 1
          for _ = 1, count do
            write(unpack(ARGV, at, at + size - 1))
            at = at + size
          end
        end
        each(2, function(user, entry) call('HSET', KEYS[3], user, entry) end)
        each(5, function(id, entry, amendment, references, reply)
          if references == '' then
            call('XADD', KEYS[2], id, 'm', entry)
          else
            call('XADD', KEYS[2], id, 'm', entry, 'r', references)
          end
          local number = string.match(id, '^%d+')
          if amendment ~= '' then call('HSET', KEYS[4], number, amendment) end
          if reply ~= '' then call('ZADD', KEYS[5], 0, reply) end
        end)
        each(2, function(number, message) call('HSET', KEYS[6], number, message) end)
        each(2, function(name, value) call('HSET', KEYS[1], name, value) end)
        return 'done'
        """

    /// Writes a tenant's numbers (`NumberScripts`). KEYS: the hash. ARGV: how many numbers are
    /// assigned, the counter; then user and number of each.
    ///
    /// Neither total decreases. Returns the first user that has another number, or whose number
    /// another user has, and writes nothing then; an empty text if there is none.
    static let numbers = """
        #!lua
        local key = KEYS[1]
        for index = 3, #ARGV, 2 do
          local user, number = ARGV[index], ARGV[index + 1]
          local found = redis.call('HMGET', key, 'u:' .. user, 'n:' .. number)
          if (found[1] or number) ~= number or (found[2] or user) ~= user then return user end
        end
        local totals = redis.call('HMGET', key, 'minted', 'counted')
        for index, name in ipairs({'minted', 'counted'}) do
          if tonumber(ARGV[index]) > tonumber(totals[index] or 0) then
            redis.call('HSET', key, name, ARGV[index])
          end
        end
        for index = 3, #ARGV, 2 do
          local user, number = ARGV[index], ARGV[index + 1]
          redis.call('HSET', key, 'u:' .. user, number, 'n:' .. number, user)
        end
        return ''
        """
}
