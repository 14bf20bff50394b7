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
    /// members, the oldest sequence number, and the pinned messages (number, message, amendment,
    /// …).
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
            local pinned = {}
            for index = 1, #pins, 2 do
              local amend = prefix .. 'amend:' .. name
              local amendment = redis.pcall('HGET', amend, pins[index])
              if type(amendment) == 'table' then
                return redis.error_reply('DAMAGED ' .. amend .. ' is not a hash')
              end
              pinned[#pinned + 1] = pins[index]
              pinned[#pinned + 1] = pins[index + 1]
              pinned[#pinned + 1] = amendment
            end
            return {redis.call('HGETALL', key), members, oldest, pinned}
            """

    /// The end of the scripts that read messages. It needs the stream's entries in `entries` and
    /// their numbers in `ids`; `low` and `high`, between which lie the roots whose threads are
    /// wanted; a function `is_shown`, which says whether the page has a message; in `below` the
    /// amended entries below, with their numbers in `below_ids`; and in `has_references` whether
    /// threads and the messages replied to are wanted.
    ///
    /// Returns head, oldest, revision, the stream's entries, the amendments of all messages that it
    /// returns (number, amendment, …), the amended entries below, the marks of all messages
    /// (number, marks, …), the entries to which the page replies, and the threads (the entry of the
    /// last reply, the number of replies, …).
    private static let pageEnd = """
        local overlays, marks, targets, threads = {}, {}, {}, {}
        for _, entry in ipairs(entries) do
          local to = tonumber(string.match(entry[2][4] or '', '^(%d+) ') or 0)
          if has_references and to >= oldest and to <= head and not is_shown(to) then
            local id = string.format('%.0f', to)
            -- Several messages may reply to one.
            targets[id] = targets[id] or redis.call('XRANGE', log, id, id)[1]
            if not targets[id] then
              return redis.error_reply('DAMAGED ' .. log .. ' lacks message ' .. id)
            end
          end
        end
        for _, id in ipairs(below_ids) do ids[#ids + 1] = id end
        local replied = {}
        for id, entry in pairs(targets) do
          replied[#replied + 1] = entry
          ids[#ids + 1] = id
        end
        if arev > 0 and #ids > 0 then
          local damage = collect(prefix .. 'amend:' .. name, ids, overlays)
          if damage then return damage end
          -- Only amended messages have marks.
          local amended = {}
          for index = 1, #overlays, 2 do amended[#amended + 1] = overlays[index] end
          damage = collect(prefix .. 'marks:' .. name, amended, marks)
          if damage then return damage end
        end
        local index = prefix .. 'threads:' .. name
        if has_references and low <= high and redis.call('EXISTS', index) == 1 then
          local from, to = string.format('[%016x', low), string.format('(%016x', high + 1)
          while true do
            local found = redis.pcall('ZRANGEBYLEX', index, from, to, 'LIMIT', 0, 1)
            if found.err then
              return redis.error_reply('DAMAGED ' .. index .. ' is not a sorted set')
            end
            if not found[1] then break end
            local root = string.sub(found[1], 1, 16)
            local first, behind = '[' .. root .. ':', '(' .. root .. ';'
            local last = redis.call('ZREVRANGEBYLEX', index, behind, first, 'LIMIT', 0, 1)[1]
            if not last then
              return redis.error_reply('DAMAGED ' .. index .. ' has the malformed entry '
                .. found[1])
            end
            threads[#threads + 1] = last
            threads[#threads + 1] = redis.call('ZLEXCOUNT', index, first, behind)
            from = '[' .. root .. ';'
          end
        end
        return {head, oldest, rev, entries, overlays, below, marks, replied, threads}
        """

    /// A function for scripts that begin with `readPrelude`. It reads the messages between two
    /// numbers, and returns them and their numbers, or an error reply if one of them is missing.
    static let rangeFunction = """
        local function read(low, high)
          if low > high then return {}, {} end
          local entries, ids =
            redis.call('XRANGE', log, string.format('%.0f', low), string.format('%.0f', high)), {}
          if #entries ~= high - low + 1 then
            local what = low == high and 'message ' .. string.format('%.0f', low)
              or string.format('%d of the messages %.0f to %.0f',
                high - low + 1 - #entries, low, high)
            return redis.error_reply('DAMAGED ' .. log .. ' lacks ' .. what)
          end
          for index = 1, #entries do ids[index] = string.match(entries[index][1], '^%d+') end
          return entries, ids
        end

        """

    /// Messages with their amendments. KEYS: the hash. ARGV: the history limit; `newest`, `before`
    /// or `after`, and a sequence number; the limit; the revision since which amended messages
    /// below the page are wanted, or -1.
    ///
    /// Returns what `pageEnd` says.
    static let page =
        readPrelude + rangeFunction + """
            local mode, number = ARGV[2], tonumber(ARGV[3])
            local limit, since = tonumber(ARGV[4]), tonumber(ARGV[5])
            local low, high = 1, 0
            if limit > 0 and oldest <= head then
              if mode == 'newest' then
                low, high = math.max(oldest, head - math.min(limit, head) + 1), head
              elseif mode == 'before' then
                if number > oldest then
                  local stop = math.min(number, head + 1)
                  low, high = math.max(oldest, stop - math.min(limit, stop)), stop - 1
                end
              elseif number < head then
                low = math.max(number + 1, oldest)
                high = low + math.min(limit, head - low + 1) - 1
              end
            end
            local below, below_ids = {}, {}
            local function is_shown(to) return to >= low and to <= high end
            local entries, ids = read(low, high)
            if entries.err then return entries end
            -- Changes come without what they refer to.
            local has_references = since < 0
            if since >= 0 and arev > since then
              local amend = prefix .. 'amend:' .. name
              local all = redis.pcall('HGETALL', amend)
              if all.err then return redis.error_reply('DAMAGED ' .. amend .. ' is not a hash') end
              for index = 1, #all, 2 do
                local amended = tonumber(all[index])
                local revision = tonumber(string.match(all[index + 1], '^%d+'))
                if amended >= oldest and amended <= number and revision > since then
                  local entry = redis.call('XRANGE', log, all[index], all[index])[1]
                  if entry then
                    below[#below + 1] = entry
                    below_ids[#below_ids + 1] = all[index]
                  end
                end
              end
            end

            """ + pageEnd

    /// A thread: its root and the replies. KEYS: the hash. ARGV: the history limit; the root; then
    /// the same as for `page`, without a revision.
    ///
    /// Returns what `pageEnd` says. The thread ends when its root is no longer kept.
    static let thread =
        readPrelude + """
            local root, mode, number = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
            local limit = tonumber(ARGV[5])
            local entries, below, ids, below_ids, shown = {}, {}, {}, {}, {}
            local low, high, has_references = 1, 0, true
            local function is_shown(to) return shown[to] end
            if limit > 0 and root >= oldest and root <= head then
              local index = prefix .. 'threads:' .. name
              local first, last, has_root = root + 1, head, true
              if mode == 'before' then
                last, has_root = math.min(last, number - 1), root < number
              elseif mode == 'after' then
                first, has_root = math.max(first, number + 1), root > number
              end
              local is_up, room, found = mode == 'after', limit, {}
              if is_up and has_root then room = room - 1 end
              if first <= last and room > 0 then
                local from = string.format('[%016x:%016x', root, first)
                local to = string.format('[%016x:%016x', root, last)
                if is_up then
                  found = redis.pcall('ZRANGEBYLEX', index, from, to, 'LIMIT', 0, room)
                else
                  found = redis.pcall('ZREVRANGEBYLEX', index, to, from, 'LIMIT', 0, room)
                end
                if found.err then
                  return redis.error_reply('DAMAGED ' .. index .. ' is not a sorted set')
                end
              end
              if has_root and (is_up or #found < limit) then
                low, high, ids[1] = root, root, string.format('%.0f', root)
              end
              for position = 1, #found do
                local entry = found[is_up and position or #found + 1 - position]
                local reply = tonumber(string.match(entry, '^%x+:(%x+)$') or '', 16)
                if not reply then
                  return redis.error_reply('DAMAGED ' .. index .. ' has the malformed entry '
                    .. entry)
                end
                ids[#ids + 1] = string.format('%.0f', reply)
              end
              for position, id in ipairs(ids) do
                entries[position] = redis.call('XRANGE', log, id, id)[1]
                if not entries[position] then
                  return redis.error_reply('DAMAGED ' .. log .. ' lacks message ' .. id)
                end
                shown[tonumber(id)] = true
              end
            end

            """ + pageEnd

    /// Messages amended since a revision, in the order of their amendments. KEYS: the hash. ARGV:
    /// the history limit, the highest sequence number, the revision, and the limit.
    ///
    /// Returns the same as `page`, but only the amended entries, their amendments and marks.
    static let amended =
        readPrelude + """
            local through, since, limit = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
            local found, overlays, below, ids, marks = {}, {}, {}, {}, {}
            if arev > since and limit > 0 then
              local amend = prefix .. 'amend:' .. name
              local all = redis.pcall('HGETALL', amend)
              if all.err then return redis.error_reply('DAMAGED ' .. amend .. ' is not a hash') end
              for index = 1, #all, 2 do
                local amended = tonumber(all[index])
                local revision = tonumber(string.match(all[index + 1], '^%d+'))
                if amended >= oldest and amended <= through and revision > since then
                  found[#found + 1] = {revision, all[index], all[index + 1]}
                end
              end
              table.sort(found, function(one, other) return one[1] < other[1] end)
              for index = 1, math.min(limit, #found) do
                local number, value = found[index][2], found[index][3]
                local entry = redis.call('XRANGE', log, number, number)[1]
                if not entry then
                  return redis.error_reply('DAMAGED ' .. log .. ' lacks message ' .. number)
                end
                below[#below + 1] = entry
                ids[#ids + 1] = number
                overlays[#overlays + 1] = number
                overlays[#overlays + 1] = value
              end
              local damage = collect(prefix .. 'marks:' .. name, ids, marks)
              if damage then return damage end
            end
            return {head, oldest, rev, {}, overlays, below, marks, {}, {}}
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
