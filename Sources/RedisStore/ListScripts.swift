/// What Redis does for lists of conversations.
enum ListScripts {
    /// Some lines of a list. KEYS: the sorted set. ARGV: `up` or `down`; the score and the name behind which to begin, or two empty ones;
    /// how many. Answers name and score of each.
    static let entries = """
        #!lua flags=no-writes
        local is_down, score, name, limit = ARGV[1] == 'down', tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
        local command, from, to = 'ZRANGEBYSCORE', ARGV[2], '+inf'
        if is_down then command, to = 'ZREVRANGEBYSCORE', '-inf' end
        if not score then from = is_down and '+inf' or '-inf' end
        -- By bytes, as Redis orders them: Lua's own order is that of a language.
        local function precedes(left, right)
          for place = 1, math.min(#left, #right) do
            local a, b = string.byte(left, place), string.byte(right, place)
            if a ~= b then return a < b end
          end
          return #left < #right
        end
        local found, offset = {}, 0
        while #found < 2 * limit do
          local lines = redis.pcall(command, KEYS[1], from, to, 'WITHSCORES', 'LIMIT', offset, limit)
          if lines.err then return redis.error_reply('DAMAGED ' .. KEYS[1] .. ' is no sorted set') end
          for place = 1, #lines, 2 do
            local is_behind = not score or tonumber(lines[place + 1]) ~= score
            if not is_behind then
              if is_down then is_behind = precedes(lines[place], name) else is_behind = precedes(name, lines[place]) end
            end
            if is_behind and #found < 2 * limit then
              found[#found + 1] = lines[place]
              found[#found + 1] = lines[place + 1]
            end
          end
          if #lines < 2 * limit then break end
          offset = offset + limit
        end
        return found
        """

    /// What a list shows of a conversation. KEYS: the hash. ARGV: how many messages are kept; and for a member's list the user, and how far
    /// unread messages are counted.
    ///
    /// Answers the hash; for a member's list also the member's entry, the newest message, its amendment and how many are unread. 0: the user is
    /// no member.
    static let summary =
        StoreScripts.readPrelude + StoreScripts.unreadFunction + """
            local user, limit = ARGV[2], tonumber(ARGV[3])
            if not user then return {redis.call('HGETALL', key)} end
            local member = redis.pcall('HGET', prefix .. 'members:' .. name, user)
            if type(member) == 'table' then return redis.error_reply('DAMAGED ' .. prefix .. 'members:' .. name .. ' is no hash') end
            if not member then return 0 end
            local read = tonumber(string.match(member, '^%d+ %-?%d+ (%d+) '))
            if not read then return redis.error_reply('DAMAGED ' .. prefix .. 'members:' .. name .. ' has an entry that is not ours') end
            local last, amendment, unread = false, false, 0
            if oldest <= head then
              local at = string.format('%.0f', head)
              last = redis.call('XRANGE', log, at, at)[1] or false
              if arev > 0 then
                amendment = redis.pcall('HGET', prefix .. 'amend:' .. name, at)
                if type(amendment) == 'table' then return redis.error_reply('DAMAGED ' .. prefix .. 'amend:' .. name .. ' is no hash') end
              end
              unread = unread_above(read, user, limit)
              if type(unread) == 'table' then return unread end
            end
            return {redis.call('HGETALL', key), member, last, amendment, unread}
            """

    /// Takes lines out of a list that are still what they were when they were found to stand for nothing. KEYS: the sorted set. ARGV: name and
    /// score of each.
    static let removeStale = """
        #!lua
        for place = 1, #ARGV, 2 do
          local score = redis.pcall('ZSCORE', KEYS[1], ARGV[place])
          if type(score) == 'string' and tonumber(score) == tonumber(ARGV[place + 1]) then redis.call('ZREM', KEYS[1], ARGV[place]) end
        end
        return 0
        """
}
