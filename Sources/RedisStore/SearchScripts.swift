/// The script for searches.
extension StoreScripts {
    /// Messages with their amendments and marks. KEYS: the hash. ARGV: the history limit; the
    /// number below which they are, or an empty argument; the limit.
    ///
    /// Returns the oldest number, the stream's entries, their amendments (number, amendment, …) and
    /// their marks (number, marks, …).
    static let search =
        readPrelude + rangeFunction + """
            local stop = tonumber(ARGV[2]) or head + 1
            local high = math.min(head, stop - 1)
            local entries, ids = read(math.max(oldest, high - tonumber(ARGV[3]) + 1), high)
            if entries.err then return entries end
            local overlays, marks, amended = {}, {}, {}
            if arev > 0 and #ids > 0 then
              local damage = collect(prefix .. 'amend:' .. name, ids, overlays)
              for index = 1, #overlays, 2 do amended[#amended + 1] = overlays[index] end
              damage = damage or collect(prefix .. 'marks:' .. name, amended, marks)
              if damage then return damage end
            end
            return {oldest, entries, overlays, marks}
            """
}
