/// A hash. Its fields keep the order of insertion, as those of a small hash in Redis do.
struct SimulatedHash {
    private(set) var fields: [[UInt8]] = []
    private var values: [[UInt8]: [UInt8]] = [:]

    var count: Int { self.fields.count }

    subscript(field: [UInt8]) -> [UInt8]? { self.values[field] }

    /// Returns whether the field is new.
    mutating func set(_ field: [UInt8], to value: [UInt8]) -> Bool {
        guard self.values.updateValue(value, forKey: field) == nil else { return false }
        self.fields.append(field)
        return true
    }

    mutating func remove(_ field: [UInt8]) -> Bool {
        guard self.values.removeValue(forKey: field) != nil else { return false }
        self.fields.removeAll { $0 == field }
        return true
    }
}

extension SimulatedKeyspace {
    private func hash(_ key: [UInt8]) throws(RedisFailure) -> SimulatedHash {
        switch self[key] {
        case .hash(let hash)?: return hash
        case nil: return SimulatedHash()
        default: throw .wrongType
        }
    }

    private func change<Result>(
        _ key: [UInt8], _ change: (inout SimulatedHash) throws(RedisFailure) -> Result
    ) throws(RedisFailure) -> Result {
        try self.update(key) { (entry: inout RedisEntry?) throws(RedisFailure) in
            var hash: SimulatedHash
            switch entry {
            case .hash(let found)?: hash = found
            case nil: hash = SimulatedHash()
            default: throw .wrongType
            }
            entry = nil
            defer { entry = .hash(hash) }
            return try change(&hash)
        }
    }

    func executeOnHash(_ command: CommandArguments) throws(RedisFailure) -> RESPValue? {
        func bulk(_ value: [UInt8]?) -> RESPValue { value.map(RESPValue.bulk) ?? .null }
        switch command.name {
        case "HGET": return bulk(try self.hash(try command.key)[try command.argument(2)])
        case "HMGET":
            let fields = try command.rest(from: 2)
            let hash = try self.hash(try command.key)
            return .array(fields.map { bulk(hash[$0]) })
        case "HGETALL":
            let hash = try self.hash(try command.key)
            return .array(hash.fields.flatMap { [.bulk($0), bulk(hash[$0])] })
        case "HKEYS": return .array(try self.hash(try command.key).fields.map(RESPValue.bulk))
        case "HVALS":
            let hash = try self.hash(try command.key)
            return .array(hash.fields.map { bulk(hash[$0]) })
        case "HLEN": return .integer(Int64(try self.hash(try command.key).count))
        case "HSTRLEN":
            let value = try self.hash(try command.key)[try command.argument(2)]
            return .integer(Int64(value?.count ?? 0))
        case "HEXISTS":
            return .integer(
                try self.hash(try command.key)[try command.argument(2)] == nil ? 0 : 1)
        case "HSET":
            let pairs = try command.pairs(from: 2)
            return try self.change(try command.key) { (hash: inout SimulatedHash) in
                .integer(Int64(pairs.filter { hash.set($0, to: $1) }.count))
            }
        case "HSETNX":
            let (field, value) = (try command.argument(2), try command.argument(3))
            return try self.change(try command.key) { (hash: inout SimulatedHash) in
                hash[field] == nil && hash.set(field, to: value) ? .integer(1) : .integer(0)
            }
        case "HDEL":
            let fields = try command.rest(from: 2)
            return try self.change(try command.key) { (hash: inout SimulatedHash) in
                .integer(Int64(fields.filter { hash.remove($0) }.count))
            }
        case "HINCRBY":
            let (field, increment) = (try command.argument(2), try command.integer(3))
            return try self.change(try command.key) {
                (hash: inout SimulatedHash) throws(RedisFailure) in
                guard
                    let number = Int64(String(decoding: hash[field] ?? [48], as: UTF8.self))
                else { throw RedisFailure("ERR hash value is not an integer") }
                _ = hash.set(field, to: Array(String(number + increment).utf8))
                return .integer(number + increment)
            }
        default: return nil
        }
    }
}
