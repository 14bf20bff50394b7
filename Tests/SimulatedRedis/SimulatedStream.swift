/// A stream without consumer groups.
struct SimulatedStream {
    /// The id of an entry.
    struct StreamID: Comparable {
        var milliseconds: UInt64
        var sequence: UInt64

        static let last = StreamID(milliseconds: .max, sequence: .max)

        static func < (left: StreamID, right: StreamID) -> Bool {
            (left.milliseconds, left.sequence) < (right.milliseconds, right.sequence)
        }

        var text: String { "\(self.milliseconds)-\(self.sequence)" }

        var next: StreamID {
            self.sequence == .max
                ? StreamID(milliseconds: self.milliseconds + 1, sequence: 0)
                : StreamID(milliseconds: self.milliseconds, sequence: self.sequence + 1)
        }

        var previous: StreamID {
            self.sequence == 0
                ? StreamID(milliseconds: self.milliseconds - 1, sequence: .max)
                : StreamID(milliseconds: self.milliseconds, sequence: self.sequence - 1)
        }
    }

    struct StreamEntry {
        let id: StreamID
        let fields: [[UInt8]]
    }

    var entries: [StreamEntry] = []
    var lastID = StreamID(milliseconds: 0, sequence: 0)

    /// The first position whose entry is not before `id`.
    func position(of id: StreamID) -> Int {
        var (low, high) = (0, self.entries.count)
        while low < high {
            let middle = (low + high) / 2
            if self.entries[middle].id < id { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Removes the oldest entries. Redis removes only whole nodes of 100 entries if it need not be
    /// exact.
    mutating func trim(to limit: Int, isExact: Bool) -> Int {
        var count = max(0, self.entries.count - limit)
        if !isExact { count = count / 100 * 100 }
        self.entries.removeFirst(count)
        return count
    }
}

extension SimulatedKeyspace {
    private func stream(_ key: [UInt8]) throws(RedisFailure) -> SimulatedStream {
        switch self[key] {
        case .stream(let stream)?: return stream
        case nil: return SimulatedStream()
        default: throw .wrongType
        }
    }

    private func change<Result>(
        _ key: [UInt8], _ change: (inout SimulatedStream) throws(RedisFailure) -> Result
    ) throws(RedisFailure) -> Result {
        try self.update(key) { (entry: inout RedisEntry?) throws(RedisFailure) in
            var stream: SimulatedStream
            var exists = true
            switch entry {
            case .stream(let found)?: stream = found
            case nil:
                stream = SimulatedStream()
                exists = false
            default: throw .wrongType
            }
            entry = nil
            defer { entry = exists ? .stream(stream) : nil }
            let result = try change(&stream)
            exists = true
            return result
        }
    }

    func executeOnStream(_ command: CommandArguments) throws(RedisFailure) -> RESPValue? {
        switch command.name {
        case "XADD": return try self.addToStream(command)
        case "XLEN": return .integer(Int64(try self.stream(try command.key).entries.count))
        case "XRANGE": return try self.range(command, low: 2, high: 3, isReverse: false)
        case "XREVRANGE": return try self.range(command, low: 3, high: 2, isReverse: true)
        case "XTRIM":
            guard self[try command.key] != nil else { return .integer(0) }
            let (limit, isExact, _) = try Self.trimming(command, at: 2)
            return .integer(
                Int64(
                    try self.change(try command.key) { (stream: inout SimulatedStream) in
                        stream.trim(to: limit, isExact: isExact)
                    }))
        case "XDEL":
            let ids = try command.rest(from: 2)
            guard self[try command.key] != nil else { return .integer(0) }
            return try self.change(try command.key) {
                (stream: inout SimulatedStream) throws(RedisFailure) in
                var count: Int64 = 0
                for text in ids {
                    let id = try Self.id(text, missingSequence: 0)
                    let position = stream.position(of: id)
                    if position < stream.entries.count, stream.entries[position].id == id {
                        stream.entries.remove(at: position)
                        count += 1
                    }
                }
                return .integer(count)
            }
        default: return nil
        }
    }

    /// Reads `MAXLEN [=|~] limit`, and returns the index behind it.
    private static func trimming(_ command: CommandArguments, at index: Int)
        throws(RedisFailure) -> (limit: Int, isExact: Bool, end: Int)
    {
        guard command.option(index) == "MAXLEN" else { throw .syntax }
        let sign = command.option(index + 1)
        let at = sign == "~" || sign == "=" ? index + 2 : index + 1
        return (Int(try command.integer(at)), sign != "~", at + 1)
    }

    private func addToStream(_ command: CommandArguments) throws(RedisFailure) -> RESPValue {
        let limit: (limit: Int, isExact: Bool, end: Int)? =
            command.option(2) == "MAXLEN" ? try Self.trimming(command, at: 2) : nil
        let at = limit?.end ?? 2
        let text = try command.argument(at)
        let fields = try command.pairs(from: at + 1).flatMap { [$0, $1] }
        let milliseconds = UInt64(self.now / 1000)
        return try self.change(try command.key) {
            (stream: inout SimulatedStream) throws(RedisFailure) in
            var id = SimulatedStream.StreamID(milliseconds: milliseconds, sequence: 0)
            if text == [UInt8(ascii: "*")] {
                if id <= stream.lastID { id = stream.lastID.next }
            } else {
                id = try Self.id(text, missingSequence: 0)
                guard id > SimulatedStream.StreamID(milliseconds: 0, sequence: 0) else {
                    throw RedisFailure("ERR The ID specified in XADD must be greater than 0-0")
                }
                guard id > stream.lastID else {
                    throw RedisFailure(
                        "ERR The ID specified in XADD is equal or smaller than the target "
                            + "stream top item")
                }
            }
            stream.lastID = id
            stream.entries.append(SimulatedStream.StreamEntry(id: id, fields: fields))
            if let limit { _ = stream.trim(to: limit.limit, isExact: limit.isExact) }
            return .text(id.text)
        }
    }

    private static func id(_ text: [UInt8], missingSequence: UInt64) throws(RedisFailure)
        -> SimulatedStream.StreamID
    {
        let parts = text.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
            .map { UInt64(String(decoding: $0, as: UTF8.self)) }
        guard (1...2).contains(parts.count), let milliseconds = parts[0],
            let sequence = parts.count == 2 ? parts[1] : missingSequence
        else {
            throw RedisFailure("ERR Invalid stream ID specified as stream command argument")
        }
        return SimulatedStream.StreamID(milliseconds: milliseconds, sequence: sequence)
    }

    private func range(_ command: CommandArguments, low: Int, high: Int, isReverse: Bool)
        throws(RedisFailure) -> RESPValue
    {
        func bound(_ index: Int, isLow: Bool) throws(RedisFailure) -> SimulatedStream.StreamID {
            var text = try command.argument(index)
            if text == [UInt8(ascii: "-")] {
                return SimulatedStream.StreamID(milliseconds: 0, sequence: 0)
            }
            if text == [UInt8(ascii: "+")] { return .last }
            let isOpen = text.first == UInt8(ascii: "(")
            if isOpen { text.removeFirst() }
            let id = try Self.id(text, missingSequence: isLow ? 0 : .max)
            return !isOpen ? id : isLow ? id.next : id.previous
        }
        let first = try bound(low, isLow: true)
        let last = try bound(high, isLow: false)
        var limit = Int.max
        if command.count > 4 {
            guard command.option(4) == "COUNT" else { throw .syntax }
            limit = max(0, Int(try command.integer(5)))
        }
        let stream = try self.stream(try command.key)
        let start = stream.position(of: first)
        let end = last == .last ? stream.entries.count : stream.position(of: last.next)
        guard start < end else { return .array([]) }
        let entries = stream.entries[start..<end]
        let chosen =
            isReverse ? Array(entries.reversed().prefix(limit)) : Array(entries.prefix(limit))
        return .array(
            chosen.map {
                .array([.text($0.id.text), .array($0.fields.map(RESPValue.bulk))])
            })
    }
}
