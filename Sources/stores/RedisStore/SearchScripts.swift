/// The scripts for searches, and for an inspection of all messages.
extension StoreScripts {
    /// The present texts of messages. KEYS: the hash. ARGV: the history limit; the number below
    /// which they are, or an empty argument; the limit.
    ///
    /// Returns the oldest number, the number of the first message, the value of each message in
    /// order, the positions of those, from 1, whose value is an amendment; and with the oldest
    /// message the pinned ones below it that have left the history (number, pin, …).
    static let search =
        readPrelude + rangeFunction + """
            local stop = tonumber(ARGV[2]) or head + 1
            local high = math.min(head, stop - 1)
            local low = math.max(oldest, high - tonumber(ARGV[3]) + 1)
            local entries, ids = read(low, high)
            if entries.err then return entries end
            local texts, amended = {}, {}
            for index, entry in ipairs(entries) do texts[index] = entry[2][2] end
            if arev > 0 then
              local amend = prefix .. 'amend:' .. name
              for from = 1, #ids, 500 do
                local to = math.min(from + 499, #ids)
                local values = redis.pcall('HMGET', amend, unpack(ids, from, to))
                if values.err then
                  return redis.error_reply('DAMAGED ' .. amend .. ' is not a hash')
                end
                for index = from, to do
                  local value = values[index - from + 1]
                  if value then
                    texts[index] = value
                    amended[#amended + 1] = index
                  end
                end
              end
            end
            local pinned = {}
            if low <= oldest then
              local pins = prefix .. 'pins:' .. name
              local numbers = redis.pcall('HKEYS', pins)
              if numbers.err then
                return redis.error_reply('DAMAGED ' .. pins .. ' is not a hash')
              end
              for _, number in ipairs(numbers) do
                if tonumber(number) < math.min(oldest, stop) then
                  pinned[#pinned + 1] = number
                  pinned[#pinned + 1] = redis.call('HGET', pins, number)
                end
              end
            end
            return {oldest, low, texts, amended, pinned}
            """

    /// The function `overlays`, which collects the amendments of messages.
    private static let overlaysFunction = """
        local function overlays(ids)
          local amendments = {}
          if arev == 0 or #ids == 0 then return amendments end
          return amendments, collect(prefix .. 'amend:' .. name, ids, amendments)
        end

        """

    /// Messages by their numbers. KEYS: the hash. ARGV: the history limit; the numbers.
    ///
    /// Returns the entries of those that are retained, and their amendments (number, amendment, …).
    static let messages =
        readPrelude + overlaysFunction + """
            local entries, ids = {}, {}
            for index = 2, #ARGV do
              local number = tonumber(ARGV[index])
              local entry = number >= oldest and number <= head
                and redis.call('XRANGE', log, ARGV[index], ARGV[index])[1]
              if entry then
                entries[#entries + 1] = entry
                ids[#ids + 1] = ARGV[index]
              end
            end
            local amendments, damage = overlays(ids)
            return damage or {entries, amendments}
            """

    /// All messages of a conversation, page by page, for its inspection. KEYS: the hash. ARGV: as
    /// for `search`.
    ///
    /// Returns the oldest number, the stream's entries and their amendments (number, amendment, …).
    static let window =
        readPrelude + rangeFunction + overlaysFunction + """
            local stop = tonumber(ARGV[2]) or head + 1
            local high = math.min(head, stop - 1)
            local entries, ids = read(math.max(oldest, high - tonumber(ARGV[3]) + 1), high)
            if entries.err then return entries end
            local amendments, damage = overlays(ids)
            return damage or {oldest, entries, amendments}
            """
}
