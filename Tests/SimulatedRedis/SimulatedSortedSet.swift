/// A sorted set: by score, and by bytes among equal scores.
struct SimulatedSortedSet {
    struct ScoredMember {
        let score: Double
        let member: [UInt8]

        func precedes(_ other: ScoredMember) -> Bool {
            self.score != other.score
                ? self.score < other.score
                : self.member.lexicographicallyPrecedes(other.member)
        }
    }

    private(set) var members: [ScoredMember] = []
    private var scores: [[UInt8]: Double] = [:]

    var count: Int { self.members.count }

    subscript(member: [UInt8]) -> Double? { self.scores[member] }

    private func position(of element: ScoredMember) -> Int {
        var (low, high) = (0, self.members.count)
        while low < high {
            let middle = (low + high) / 2
            if self.members[middle].precedes(element) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Returns whether the member is new.
    mutating func set(_ member: [UInt8], to score: Double) -> Bool {
        let isNew = !self.remove(member)
        let element = ScoredMember(score: score, member: member)
        self.members.insert(element, at: self.position(of: element))
        self.scores[member] = score
        return isNew
    }

    mutating func remove(_ member: [UInt8]) -> Bool {
        guard let score = self.scores.removeValue(forKey: member) else { return false }
        self.members.remove(at: self.position(of: ScoredMember(score: score, member: member)))
        return true
    }
}

extension SimulatedKeyspace {
    private func sortedSet(_ key: [UInt8]) throws(RedisFailure) -> SimulatedSortedSet {
        switch self[key] {
        case .sortedSet(let set)?: return set
        case nil: return SimulatedSortedSet()
        default: throw .wrongType
        }
    }

    private static func text(of score: Double) -> RESPValue {
        score == score.rounded() && abs(score) < 1e17
            ? .text("\(Int64(score))") : .text("\(score)")
    }

    func executeOnSortedSet(_ command: CommandArguments) throws(RedisFailure) -> RESPValue? {
        func score(_ score: Double?) -> RESPValue { score.map(Self.text) ?? .null }
        switch command.name {
        case "ZADD": return try self.addToSortedSet(command)
        case "ZCARD": return .integer(Int64(try self.sortedSet(try command.key).count))
        case "ZSCORE":
            return score(try self.sortedSet(try command.key)[try command.argument(2)])
        case "ZMSCORE":
            let members = try command.rest(from: 2)
            let set = try self.sortedSet(try command.key)
            return .array(members.map { score(set[$0]) })
        case "ZREM":
            let members = try command.rest(from: 2)
            var set = try self.sortedSet(try command.key)
            let count = members.filter { set.remove($0) }.count
            if count > 0 { self[try command.key] = .sortedSet(set) }
            return .integer(Int64(count))
        case "ZLEXCOUNT":
            let range = try Self.byteRange(command, low: 2, high: 3)
            let set = try self.sortedSet(try command.key)
            return .integer(Int64(set.members.filter { range($0.member) }.count))
        case "ZRANGEBYLEX", "ZREVRANGEBYLEX":
            let isReverse = command.name == "ZREVRANGEBYLEX"
            let range = try Self.byteRange(
                command, low: isReverse ? 3 : 2, high: isReverse ? 2 : 3)
            let set = try self.sortedSet(try command.key)
            return try Self.reply(
                set.members.filter { range($0.member) }, command, isReverse: isReverse)
        case "ZRANGEBYSCORE", "ZREVRANGEBYSCORE":
            let isReverse = command.name == "ZREVRANGEBYSCORE"
            let low = try Self.scoreBound(command, isReverse ? 3 : 2)
            let high = try Self.scoreBound(command, isReverse ? 2 : 3)
            let set = try self.sortedSet(try command.key)
            let found = set.members.filter {
                (low.isOpen ? $0.score > low.value : $0.score >= low.value)
                    && (high.isOpen ? $0.score < high.value : $0.score <= high.value)
            }
            return try Self.reply(found, command, isReverse: isReverse)
        default: return nil
        }
    }

    private func addToSortedSet(_ command: CommandArguments) throws(RedisFailure) -> RESPValue {
        var index = 2
        var (isGreater, isNew, isOld) = (false, false, false)
        options: while true {
            switch command.option(index) {
            case "GT": isGreater = true
            case "NX": isNew = true
            case "XX": isOld = true
            default: break options
            }
            index += 1
        }
        guard (command.count - index) % 2 == 0, command.count > index else { throw .syntax }
        var set = try self.sortedSet(try command.key)
        var added = 0
        for at in stride(from: index, to: command.count, by: 2) {
            let (score, member) = (try command.float(at), try command.argument(at + 1))
            if let present = set[member] {
                if isNew || isGreater && score <= present { continue }
                _ = set.set(member, to: score)
            } else if !isOld {
                _ = set.set(member, to: score)
                added += 1
            }
        }
        self[try command.key] = .sortedSet(set)
        return .integer(Int64(added))
    }

    private static func byteRange(_ command: CommandArguments, low: Int, high: Int)
        throws(RedisFailure) -> ([UInt8]) -> Bool
    {
        func bound(_ index: Int, isLow: Bool) throws(RedisFailure) -> ([UInt8]) -> Bool {
            let text = try command.argument(index)
            let value = Array(text.dropFirst())
            switch text.first {
            case UInt8(ascii: "-"): return { _ in isLow }
            case UInt8(ascii: "+"): return { _ in !isLow }
            case UInt8(ascii: "["):
                return {
                    $0 == value
                        || (isLow
                            ? value.lexicographicallyPrecedes($0)
                            : $0.lexicographicallyPrecedes(value))
                }
            case UInt8(ascii: "("):
                return {
                    isLow
                        ? value.lexicographicallyPrecedes($0) : $0.lexicographicallyPrecedes(value)
                }
            default: throw RedisFailure("ERR min or max not valid string range item")
            }
        }
        let (isAbove, isBelow) = (try bound(low, isLow: true), try bound(high, isLow: false))
        return { isAbove($0) && isBelow($0) }
    }

    private static func scoreBound(_ command: CommandArguments, _ index: Int)
        throws(RedisFailure) -> (value: Double, isOpen: Bool)
    {
        let text = try command.text(index)
        let isOpen = text.hasPrefix("(")
        guard let value = Double(isOpen ? String(text.dropFirst()) : text) else {
            throw RedisFailure("ERR min or max is not a float")
        }
        return (value, isOpen)
    }

    /// Applies WITHSCORES and LIMIT, which follow the range.
    private static func reply(
        _ found: [SimulatedSortedSet.ScoredMember], _ command: CommandArguments, isReverse: Bool
    ) throws(RedisFailure) -> RESPValue {
        var found = isReverse ? found.reversed() : found
        var hasScores = false
        var index = 4
        while index < command.count {
            switch command.option(index) {
            case "WITHSCORES":
                hasScores = true
                index += 1
            case "LIMIT":
                let (offset, count) = (
                    Int(try command.integer(index + 1)), Int(try command.integer(index + 2))
                )
                found = Array(found.dropFirst(offset))
                if count >= 0 { found = Array(found.prefix(count)) }
                index += 3
            default: throw .syntax
            }
        }
        return .array(
            found.flatMap { element -> [RESPValue] in
                hasScores
                    ? [.bulk(element.member), Self.text(of: element.score)]
                    : [.bulk(element.member)]
            })
    }
}
