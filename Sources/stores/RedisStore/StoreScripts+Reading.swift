/// The scripts that read.
extension StoreScripts {
    /// The beginning of all reading scripts. It sets a conversation's `head`, `rev`, `arev`
    /// (revision of the last amendment) and `oldest`, and the names of its keys. Returns nil if the
    /// conversation does not exist.
    static let readPrelude = """
        #!lua flags=no-writes
        local key, history = KEYS[1], tonumber(ARGV[1])
        local cut = string.find(key, ':conv:', 1, true)
        local prefix, name = string.sub(key, 1, cut), string.sub(key, cut + 6)
        local log = prefix .. 'log:' .. name
        local found = redis.pcall('HMGET', key, 'at', 'arev')
        if found.err then return redis.error_reply('DAMAGED ' .. key .. ' is not a hash') end
        if not found[1] then
          if redis.call('EXISTS', key) == 1 then
            return redis.error_reply('DAMAGED ' .. key .. ' has no field at')
          end
          return false
        end
        local format, rest = string.match(found[1], '^(%d+)(.*)$')
        if format and format ~= '1' then
          return redis.error_reply(
            'DAMAGED ' .. key .. ' has the format ' .. format .. ', which is unknown')
        end
        local rev, head = string.match(rest or '', '^ (%d+) (%d+) %-?%d+$')
        rev, head = tonumber(rev), tonumber(head)
        local arev = tonumber(found[2] or '0')
        if not rev or not head or not arev then
          return redis.error_reply('DAMAGED ' .. key .. ' has no numbers in at or arev')
        end
        local first = redis.pcall('XRANGE', log, '-', '+', 'COUNT', 1)
        if first.err then return redis.error_reply('DAMAGED ' .. log .. ' is not a stream') end
        local oldest = head + 1
        if first[1] then oldest = tonumber(string.match(first[1][1], '^(%d+)%-')) end
        if history > 0 and oldest < head - history + 1 then oldest = head - history + 1 end
        -- The author, client id and time of a stream entry, as in `StoredMessage`; empty if
        -- malformed.
        local function origin(entry)
          local value = entry[2][2]
          local time, user, name, client, start =
            string.match(value, '^%d+ (%-?%d+) %d+ (%d+) (%d+) (%d+) %d+ %d+ ()')
          if not time then return '', '', '' end
          local id = start + user + name
          return string.sub(value, start, start + user - 1),
            string.sub(value, id, id + client - 1), time
        end
        -- Adds number and value of those of the messages that a hash has. Returns an error reply if
        -- it is no hash.
        local function collect(hash, ids, found)
          for from = 1, #ids, 500 do
            local to = math.min(from + 499, #ids)
            local values = redis.pcall('HMGET', hash, unpack(ids, from, to))
            if values.err then return redis.error_reply('DAMAGED ' .. hash .. ' is not a hash') end
            for index = from, to do
              local value = values[index - from + 1]
              if value then
                found[#found + 1] = ids[index]
                found[#found + 1] = value
              end
            end
          end
        end

        """

    /// Everything but the messages. KEYS: the hash. ARGV: the history limit. Returns the hash, the
    /// members, the oldest sequence number, and the pinned messages (number, message, …).
    static let load =
        readPrelude + """
            local members = redis.pcall('HGETALL', prefix .. 'members:' .. name)
            if members.err then
              return redis.error_reply(
                'DAMAGED ' .. prefix .. 'members:' .. name .. ' is not a hash')
            end
            local pins = redis.pcall('HGETALL', prefix .. 'pins:' .. name)
            if pins.err then
              return redis.error_reply('DAMAGED ' .. prefix .. 'pins:' .. name .. ' is not a hash')
            end
            return {redis.call('HGETALL', key), members, oldest, pins}
            """

    /// The senders of the newest messages. KEYS: the hash. ARGV: the history limit, and the limit.
    ///
    /// Returns number, author, client id and time of each message, oldest first.
    static let recent =
        readPrelude + """
            local found = {}
            local low = math.max(oldest, head - tonumber(ARGV[2]) + 1)
            while low <= head do
              local entries =
                redis.call('XRANGE', log, string.format('%.0f', low), '+', 'COUNT', 256)
              if #entries == 0 then break end
              for _, entry in ipairs(entries) do
                local author, client, time = origin(entry)
                found[#found + 1] = string.match(entry[1], '^%d+')
                found[#found + 1] = author
                found[#found + 1] = client
                found[#found + 1] = time
              end
              low = tonumber(found[#found - 3]) + 1
            end
            return found
            """

    /// A function for scripts that begin with `readPrelude`. It counts the messages above a number
    /// that other users wrote and that are not deleted, up to a limit, and how many of them mention
    /// the user. Returns an error reply if the amendments are damaged.
    ///
    /// `mention` is the user as `StoredReferences` has it, between two blanks.
    static let unreadFunction = """
        local function has_mention(references, mention)
          local kind, size, start = string.match(references, '^%d+ %d+ (%d) (%d+) ()')
          if kind == '2' then return true end
          -- The blank in front of the first user ends the size.
          local found = kind == '1' and string.find(references, mention, start - 1, true)
          return found and found < start + tonumber(size) - 1
        end
        local function unread_above(number, user, limit, mention)
          local low, count, amend = math.max(oldest, number + 1), 0, prefix .. 'amend:' .. name
          local mentions = 0
          while low <= head and count < limit do
            local entries = redis.call(
              'XRANGE', log, string.format('%.0f', low), '+', 'COUNT', math.min(256, limit))
            if #entries == 0 then break end
            local amendments = {}
            if arev > 0 then
              local ids = {}
              for index = 1, #entries do ids[index] = string.match(entries[index][1], '^%d+') end
              amendments = redis.pcall('HMGET', amend, unpack(ids))
              if amendments.err then
                return redis.error_reply('DAMAGED ' .. amend .. ' is not a hash')
              end
            end
            for index, entry in ipairs(entries) do
              local is_deleted = string.find(entry[2][2], '^%d+ %-?%d+ 2 ')
              if amendments[index] then is_deleted = string.find(amendments[index], '^%d+ 2 ') end
              if count < limit and not is_deleted and origin(entry) ~= user then
                count = count + 1
                local references = entry[2][4]
                if references and mention and has_mention(references, mention) then
                  mentions = mentions + 1
                end
              end
            end
            low = tonumber(string.match(entries[#entries][1], '^%d+')) + 1
          end
          return count, mentions
        end

        """

    /// The number of messages above a number that other users wrote and that are not deleted. KEYS:
    /// the hash. ARGV: the history limit, the number, the user.
    static let unread =
        readPrelude + unreadFunction + """
            return (unread_above(tonumber(ARGV[2]), ARGV[3], math.huge))
            """
}
