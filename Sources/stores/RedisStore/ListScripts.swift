import ChatModel

/// The scripts for lists of conversations.
enum ListScripts {
    /// Reads index entries. KEYS: the sorted set. ARGV: `up` or `down`; score and name of the entry
    /// to start behind, or two empty arguments; the limit.
    ///
    /// Returns the name and score of each.
    static let entries = """
        #!lua flags=no-writes
        local is_down, score = ARGV[1] == 'down', tonumber(ARGV[2])
        local name, limit = ARGV[3], tonumber(ARGV[4])
        local command, from, to = 'ZRANGEBYSCORE', ARGV[2], '+inf'
        if is_down then command, to = 'ZREVRANGEBYSCORE', '-inf' end
        if not score then from = is_down and '+inf' or '-inf' end
        -- By bytes, as Redis orders them: Lua's comparison depends on the locale.
        local function precedes(left, right)
          for index = 1, math.min(#left, #right) do
            local a, b = string.byte(left, index), string.byte(right, index)
            if a ~= b then return a < b end
          end
          return #left < #right
        end
        local found, offset = {}, 0
        while #found < 2 * limit do
          local entries =
            redis.pcall(command, KEYS[1], from, to, 'WITHSCORES', 'LIMIT', offset, limit)
          if entries.err then
            return redis.error_reply('DAMAGED ' .. KEYS[1] .. ' is not a sorted set')
          end
          for index = 1, #entries, 2 do
            local is_after = not score or tonumber(entries[index + 1]) ~= score
            if not is_after then
              if is_down then
                is_after = precedes(entries[index], name)
              else
                is_after = precedes(name, entries[index])
              end
            end
            if is_after and #found < 2 * limit then
              found[#found + 1] = entries[index]
              found[#found + 1] = entries[index + 1]
            end
          end
          if #entries < 2 * limit then break end
          offset = offset + limit
        end
        return found
        """

    /// Reads the summary of a conversation. KEYS: its hash. ARGV: the history limit; for a member's
    /// list also the user, the limit of the unread count, and the user as mentions have it.
    ///
    /// Returns the hash; for a member's list also the member's entry, the newest message, its
    /// amendment, the unread count and the count of unread mentions. Returns 0 if the user is not a
    /// member.
    static let summary =
        StoreScripts.readPrelude + StoreScripts.unreadFunction + """
            local user, limit = ARGV[2], tonumber(ARGV[3])
            if not user then return {redis.call('HGETALL', key)} end
            local members = prefix .. 'members:' .. name
            local member = redis.pcall('HGET', members, user)
            if type(member) == 'table' then
              return redis.error_reply('DAMAGED ' .. members .. ' is not a hash')
            end
            if not member then return 0 end
            -- A former member that the conversation remembers (`Member.Role`).
            if tonumber(string.match(member, '^%d+') or 0) > \(Member.Role.admin.rawValue) then
              return 0
            end
            local read = tonumber(string.match(member, '^%d+ %-?%d+ (%d+) '))
            if not read then
              return redis.error_reply('DAMAGED ' .. members .. ' has a malformed entry')
            end
            local last, amendment, unread, mentions = false, false, 0, 0
            if oldest <= head then
              local at = string.format('%.0f', head)
              last = redis.call('XRANGE', log, at, at)[1] or false
              if arev > 0 then
                local amend = prefix .. 'amend:' .. name
                amendment = redis.pcall('HGET', amend, at)
                if type(amendment) == 'table' then
                  return redis.error_reply('DAMAGED ' .. amend .. ' is not a hash')
                end
              end
              unread, mentions = unread_above(read, user, limit, ARGV[4])
              if type(unread) == 'table' then return unread end
            end
            return {redis.call('HGETALL', key), member, last, amendment, unread, mentions}
            """

    /// Removes index entries whose scores have not increased since they were found stale. KEYS: the
    /// sorted set. ARGV: name and score of each.
    static let removeStale = """
        #!lua
        for index = 1, #ARGV, 2 do
          local score = redis.pcall('ZSCORE', KEYS[1], ARGV[index])
          if type(score) == 'string' and tonumber(score) <= tonumber(ARGV[index + 1]) then
            redis.call('ZREM', KEYS[1], ARGV[index])
          end
        end
        return 0
        """
}
