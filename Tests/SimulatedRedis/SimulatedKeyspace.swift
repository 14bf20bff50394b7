/// The data of a simulated Redis, and the commands that read and change them.
///
/// It has the commands that Confab uses. Their replies are those of Redis 7; a contract test
/// compares both.
final class SimulatedKeyspace {
    /// Redis' time, in microseconds.
    var now: Int64 = 0
    private var entries: [[UInt8]: RedisEntry] = [:]
    /// When keys expire, in milliseconds.
    private var expiries: [[UInt8]: Int64] = [:]

    /// The value of a key.
    enum RedisEntry {
        case string([UInt8])
        case hash(SimulatedHash)
        case list([[UInt8]])
        case sortedSet(SimulatedSortedSet)
        case stream(SimulatedStream)

        var typeName: String {
            switch self {
            case .string: "string"
            case .hash: "hash"
            case .list: "list"
            case .sortedSet: "zset"
            case .stream: "stream"
            }
        }

        /// An empty hash, list or sorted set does not exist.
        var isEmpty: Bool {
            switch self {
            case .string, .stream: false
            case .hash(let hash): hash.count == 0
            case .list(let list): list.isEmpty
            case .sortedSet(let set): set.count == 0
            }
        }
    }

    private var milliseconds: Int64 { self.now / 1000 }

    /// Executes a command on data. Nil if there is no such command.
    func execute(_ command: CommandArguments) throws(RedisFailure) -> RESPValue? {
        self.removeExpired()
        if let reply = try self.executeOnKeys(command) { return reply }
        if let reply = try self.executeOnHash(command) { return reply }
        if let reply = try self.executeOnSortedSet(command) { return reply }
        return try self.executeOnStream(command)
    }

    private func removeExpired() {
        guard !self.expiries.isEmpty else { return }
        for (key, time) in self.expiries where time <= self.milliseconds { self.remove(key) }
    }

    private func remove(_ key: [UInt8]) {
        self.entries[key] = nil
        self.expiries[key] = nil
    }

    // MARK: Access

    subscript(key: [UInt8]) -> RedisEntry? {
        get { self.entries[key] }
        set {
            if let newValue, !newValue.isEmpty {
                self.entries[key] = newValue
            } else {
                self.remove(key)
            }
        }
    }

    func list(_ key: [UInt8]) throws(RedisFailure) -> [[UInt8]] {
        switch self.entries[key] {
        case .list(let list)?: return list
        case nil: return []
        default: throw .wrongType
        }
    }

    /// Takes the value out of the table while it is changed, so that it is not copied.
    func update<Result>(
        _ key: [UInt8], _ change: (inout RedisEntry?) throws(RedisFailure) -> Result
    ) throws(RedisFailure) -> Result {
        var entry = self.entries.removeValue(forKey: key)
        defer {
            if let entry, !entry.isEmpty {
                self.entries[key] = entry
            } else {
                self.expiries[key] = nil
            }
        }
        return try change(&entry)
    }

    // MARK: Keys, strings and lists

    private func executeOnKeys(_ command: CommandArguments) throws(RedisFailure) -> RESPValue? {
        switch command.name {
        case "GET":
            switch self.entries[try command.key] {
            case .string(let value)?: return .bulk(value)
            case nil: return .null
            default: throw .wrongType
            }
        case "SET": return try self.set(command)
        case "DEL":
            let keys = try command.rest(from: 1).filter { self.entries[$0] != nil }
            let count = Set(keys).count
            for key in keys { self.remove(key) }
            return .integer(Int64(count))
        case "EXISTS":
            let keys = try command.rest(from: 1).filter { self.entries[$0] != nil }
            return .integer(Int64(keys.count))
        case "PEXPIRE":
            let key = try command.key
            let time = try command.integer(2)
            guard self.entries[key] != nil else { return .integer(0) }
            self.expiries[key] = self.milliseconds + time
            return .integer(1)
        case "PTTL":
            let key = try command.key
            guard self.entries[key] != nil else { return .integer(-2) }
            return .integer(self.expiries[key].map { $0 - self.milliseconds } ?? -1)
        case "TYPE": return .status(self.entries[try command.key]?.typeName ?? "none")
        case "TIME":
            return .array([.text("\(self.now / 1_000_000)"), .text("\(self.now % 1_000_000)")])
        case "DBSIZE": return .integer(Int64(self.entries.count))
        case "SCAN":
            let keys = self.entries.keys.sorted { $0.lexicographicallyPrecedes($1) }
            return .array([.text("0"), .array(keys.map(RESPValue.bulk))])
        case "MEMORY":
            return self.entries[try command.argument(2)] == nil ? .null : .integer(1000)
        case "FLUSHALL":
            self.entries = [:]
            self.expiries = [:]
            return .ok
        case "RPUSH":
            let values = try command.rest(from: 2)
            let list = try self.list(try command.key) + values
            self[try command.key] = .list(list)
            return .integer(Int64(list.count))
        case "LLEN": return .integer(Int64(try self.list(try command.key).count))
        case "LRANGE":
            let list = try self.list(try command.key)
            let range = try command.range(of: list.count)
            return .array(list[range].map(RESPValue.bulk))
        case "LTRIM":
            let list = try self.list(try command.key)
            let range = try command.range(of: list.count)
            self[try command.key] = .list(Array(list[range]))
            return .ok
        default: return nil
        }
    }

    private func set(_ command: CommandArguments) throws(RedisFailure) -> RESPValue {
        let (key, value) = (try command.key, try command.argument(2))
        var expiry: Int64?
        var index = 3
        while index < command.count {
            switch command.option(index) {
            case "NX":
                if self.entries[key] != nil { return .null }
                index += 1
            case "XX":
                if self.entries[key] == nil { return .null }
                index += 1
            case "PX":
                expiry = self.milliseconds + (try command.integer(index + 1))
                index += 2
            case "EX":
                expiry = self.milliseconds + (try command.integer(index + 1)) * 1000
                index += 2
            default: throw .syntax
            }
        }
        self.entries[key] = .string(value)
        self.expiries[key] = expiry
        return .ok
    }
}
