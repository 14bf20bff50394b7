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

        """

    /// Everything but the messages. KEYS: the hash. ARGV: the history limit. Returns the hash, the
    /// members, and the oldest sequence number.
    static let load =
        readPrelude + """
            local members = redis.pcall('HGETALL', prefix .. 'members:' .. name)
            if members.err then
              return redis.error_reply(
                'DAMAGED ' .. prefix .. 'members:' .. name .. ' is not a hash')
            end
            return {redis.call('HGETALL', key), members, oldest}
            """

    /// Messages with their amendments. KEYS: the hash. ARGV: the history limit; `newest`, `before`
    /// or `after`, and a sequence number; the limit; the revision since which amended messages
    /// below the page are wanted, or -1.
    ///
    /// Returns head, oldest, revision, the stream's entries, their amendments (number, amendment,
    /// …), and the amended entries below.
    static let page =
        readPrelude + """
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
            local entries, overlays, below = {}, {}, {}
            if low <= high then
              entries =
                redis.call('XRANGE', log, string.format('%.0f', low), string.format('%.0f', high))
              if #entries ~= high - low + 1 then
                local what = low == high and 'message ' .. string.format('%.0f', low)
                  or string.format('%d of the messages %.0f to %.0f',
                    high - low + 1 - #entries, low, high)
                return redis.error_reply('DAMAGED ' .. log .. ' lacks ' .. what)
              end
            end
            local amend = prefix .. 'amend:' .. name
            if arev > 0 and #entries > 0 then
              for from = 1, #entries, 500 do
                local ids = {}
                for index = from, math.min(from + 499, #entries) do
                  ids[#ids + 1] = string.match(entries[index][1], '^%d+')
                end
                local values = redis.pcall('HMGET', amend, unpack(ids))
                if values.err then
                  return redis.error_reply('DAMAGED ' .. amend .. ' is not a hash')
                end
                for index = 1, #ids do
                  if values[index] then
                    overlays[#overlays + 1] = ids[index]
                    overlays[#overlays + 1] = values[index]
                  end
                end
              end
            end
            if since >= 0 and arev > since then
              local all = redis.pcall('HGETALL', amend)
              if all.err then return redis.error_reply('DAMAGED ' .. amend .. ' is not a hash') end
              for index = 1, #all, 2 do
                local amended = tonumber(all[index])
                local revision = tonumber(string.match(all[index + 1], '^%d+'))
                if amended >= oldest and amended <= number and revision > since then
                  local entry = redis.call('XRANGE', log, all[index], all[index])[1]
                  if entry then
                    below[#below + 1] = entry
                    overlays[#overlays + 1] = all[index]
                    overlays[#overlays + 1] = all[index + 1]
                  end
                end
              end
            end
            return {head, oldest, rev, entries, overlays, below}
            """

    /// Messages amended since a revision, in the order of their amendments. KEYS: the hash. ARGV:
    /// the history limit, the highest sequence number, the revision, and the limit.
    ///
    /// Returns the same as `page`, but only the amended entries and their amendments.
    static let amended =
        readPrelude + """
            local through, since, limit = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
            local found, overlays, below = {}, {}, {}
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
                overlays[#overlays + 1] = number
                overlays[#overlays + 1] = value
              end
            end
            return {head, oldest, rev, {}, overlays, below}
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
    /// that other users wrote and that are not deleted, up to a limit. Returns an error reply if
    /// the amendments are damaged.
    static let unreadFunction = """
        local function unread_above(number, user, limit)
          local low, count, amend = math.max(oldest, number + 1), 0, prefix .. 'amend:' .. name
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
              end
            end
            low = tonumber(string.match(entries[#entries][1], '^%d+')) + 1
          end
          return count
        end

        """

    /// The number of messages above a number that other users wrote and that are not deleted. KEYS:
    /// the hash. ARGV: the history limit, the number, the user.
    static let unread =
        readPrelude + unreadFunction + """
            return unread_above(tonumber(ARGV[2]), ARGV[3], math.huge)
            """
}
