/// Why a command has no reply. Each is a sentence for operators.
public enum RedisError: Error, Sendable, Hashable, CustomStringConvertible {
    // What becomes of commands here, without the server.

    /// The connection broke, or no answer came in time. Unless `mayBeDone`, the server has not seen the command.
    case connectionLost(mayBeDone: Bool)
    /// There was no connection for as long as a command waits for one. The server has not seen it.
    case noConnection
    /// More commands, or bytes of them, wait than may wait. The server has not seen it.
    case queueFull
    /// The client was closed. The server has not seen it.
    case closed

    // What the server answers: the first word of its error says which.

    /// READONLY: a replica was asked to write; the master is another.
    case readOnly
    /// LOADING: the server has been started and reads its data.
    case loading
    /// CLUSTERDOWN: too many masters are missing, or a slot has none.
    case clusterDown
    /// OOM: `maxmemory` is used up. Nothing was done.
    case outOfMemory
    /// MISCONF: the last snapshot could not be written, so that no writes are taken.
    case snapshotFailed
    /// MASTERDOWN: a replica has lost its master and does not show old data.
    case masterDown
    /// TRYAGAIN: a slot moves, and the keys are on both sides.
    case tryAgain
    /// MOVED: the slot is elsewhere. An empty host is the one that answered.
    case moved(slot: UInt16, to: RedisEndpoint)
    /// ASK: the slot moves, and the key may be there already.
    case ask(slot: UInt16, at: RedisEndpoint)
    /// NOSCRIPT: somebody flushed the server's scripts. They are on their way to it again: the command sent again finds them.
    case scriptLost
    /// WRONGTYPE: the key holds something else.
    case wrongType
    /// NOAUTH: the server wants a password.
    case notAuthenticated
    /// WRONGPASS: user or password is wrong.
    case wrongPassword
    /// NOPERM: the user may not do this; in the server's words.
    case notPermitted(String)
    /// BUSY: a script runs for too long.
    case busy
    /// CROSSSLOT: the keys of one command are in different slots.
    case crossSlot
    /// NOREPLICAS: fewer replicas than `min-replicas-to-write`.
    case noReplicas
    /// NOGOODSLAVE: Sentinel finds no replica to take over.
    case noGoodReplica
    /// UNKILLABLE: the running script has written, and can only be ended with the server.
    case unkillable
    /// Anything else, in the server's words, and what our own scripts answer.
    case other(String)

    public var description: String {
        switch self {
        case .connectionLost(mayBeDone: true):
            "The connection to Redis was lost before the answer came: it may be done or not."
        case .connectionLost(mayBeDone: false):
            "The connection to Redis was lost before the command was sent: it is not done."
        case .noConnection: "There is no connection to Redis."
        case .queueFull: "Too many commands wait for Redis already."
        case .closed: "The Redis client is closed."
        case .readOnly: "The Redis server is a replica and takes no writes (READONLY)."
        case .loading: "The Redis server is starting and loads its data (LOADING)."
        case .clusterDown: "The Redis Cluster is down: masters are missing (CLUSTERDOWN)."
        case .outOfMemory: "The Redis server has used up its maxmemory and takes no writes (OOM)."
        case .snapshotFailed:
            "The Redis server could not write its last snapshot and takes no writes (MISCONF); see its log and its disk."
        case .masterDown: "The Redis server is a replica without its master (MASTERDOWN)."
        case .tryAgain: "The slot of the keys is just moving to another Redis server (TRYAGAIN)."
        case .moved(let slot, let place):
            "Slot \(slot) is on another Redis server, \(place) (MOVED)."
        case .ask(let slot, let place):
            "Slot \(slot) is moving to another Redis server, \(place) (ASK)."
        case .scriptLost: "The Redis server has lost our scripts (NOSCRIPT); they are loaded again."
        case .wrongType:
            "A Redis key holds something else than it should (WRONGTYPE); does another program use the same keys?"
        case .notAuthenticated: "The Redis server wants a password, and the URL has none (NOAUTH)."
        case .wrongPassword:
            "The Redis server does not take the user and password of the URL (WRONGPASS)."
        case .notPermitted(let words): "The Redis user lacks a permission: \(words)"
        case .busy: "The Redis server is busy with a script that does not end (BUSY)."
        case .crossSlot: "Keys of one Redis command are in different slots (CROSSSLOT)."
        case .noReplicas:
            "The Redis server has fewer replicas than min-replicas-to-write and takes no writes (NOREPLICAS)."
        case .noGoodReplica: "Redis Sentinel has no replica that could take over (NOGOODSLAVE)."
        case .unkillable:
            "The Redis server runs a script that has written and cannot be ended (UNKILLABLE)."
        case .other(let words): "Redis answered with an error: \(words)"
        }
    }

    /// Whether a server has said so, rather than that it could not be asked.
    public var isFromServer: Bool {
        switch self {
        case .connectionLost, .noConnection, .queueFull, .closed: false
        default: true
        }
    }

    /// Whether a server of a cluster has not done the command because another has to, or itself a little later.
    var isRedirection: Bool {
        switch self {
        case .moved, .ask, .tryAgain: true
        default: false
        }
    }

    /// Reads an error reply, without its minus.
    public init(reply bytes: UnsafeRawBufferPointer) {
        // Words of up to 15 bytes need no allocation.
        let word = String(
            decoding: bytes.prefix(15).prefix { $0 != UInt8(ascii: " ") }, as: UTF8.self)
        self =
            Self.named(word, bytes) ?? Self.scriptError(bytes)
            ?? .other(String(decoding: bytes, as: UTF8.self))
    }

    private static func named(_ word: String, _ bytes: UnsafeRawBufferPointer) -> RedisError? {
        switch word {
        case "READONLY": .readOnly
        case "LOADING": .loading
        case "CLUSTERDOWN": .clusterDown
        case "OOM": .outOfMemory
        case "MISCONF": .snapshotFailed
        case "MASTERDOWN": .masterDown
        case "TRYAGAIN": .tryAgain
        case "MOVED": self.redirection(bytes).map { .moved(slot: $0.slot, to: $0.place) }
        case "ASK": self.redirection(bytes).map { .ask(slot: $0.slot, at: $0.place) }
        case "NOSCRIPT": .scriptLost
        case "WRONGTYPE": .wrongType
        case "NOAUTH": .notAuthenticated
        case "WRONGPASS": .wrongPassword
        case "NOPERM": .notPermitted(String(decoding: bytes.dropFirst(7), as: UTF8.self))
        case "BUSY": .busy
        case "CROSSSLOT": .crossSlot
        case "NOREPLICAS": .noReplicas
        case "NOGOODSLAVE": .noGoodReplica
        case "UNKILLABLE": .unkillable
        default: nil
        }
    }

    /// Redis 6 puts the error of a command inside a script behind a text of its own: `ERR Error running script … : -OOM command …`.
    private static func scriptError(_ bytes: UnsafeRawBufferPointer) -> RedisError? {
        let text = String(decoding: bytes, as: UTF8.self)
        // Redis 7 has no word of its own for what its user may not do inside a script.
        if text.hasPrefix("ERR The user executing the script ") {
            return .notPermitted(String(text.dropFirst(4)))
        }
        guard text.hasPrefix("ERR Error running script") else { return nil }
        for part in text.split(separator: " ") where part.hasPrefix("-") {
            if let error = self.named(String(part.dropFirst()), bytes), error != .scriptLost {
                return error
            }
        }
        return nil
    }

    /// `MOVED 3999 127.0.0.1:6381`; an IPv6 address stands without brackets.
    private static func redirection(_ bytes: UnsafeRawBufferPointer) -> (
        slot: UInt16, place: RedisEndpoint
    )? {
        let words = String(decoding: bytes, as: UTF8.self).split(separator: " ")
        guard words.count >= 3, let slot = UInt16(words[1]), slot < RedisSlot.count,
            let colon = words[2].lastIndex(of: ":"),
            let port = UInt16(words[2][words[2].index(after: colon)...])
        else { return nil }
        return (slot, RedisEndpoint(host: String(words[2][..<colon]), port: port))
    }
}
