internal import Bytes

/// Why a command has no reply. Each description is a sentence for operators.
public enum RedisError: Error, Sendable, Hashable, CustomStringConvertible {
    // Errors of the client, without the server.

    /// The connection broke, or no reply came in time. Unless `mayBeExecuted`, the server has not
    /// received the command.
    case connectionLost(mayBeExecuted: Bool)
    /// No connection was available within the command timeout. The server has not received the
    /// command.
    case noConnection
    /// Too many commands or bytes are queued. The server has not received the command.
    case queueFull
    /// The client is closed. The server has not received the command.
    case closed

    // Errors of the server, identified by the first word of the reply.

    /// READONLY: the server is a replica and rejects writes.
    case readOnly
    /// LOADING: the server is starting and loads its data.
    case loading
    /// CLUSTERDOWN: too many masters are missing, or a slot has no master.
    case clusterDown
    /// OOM: `maxmemory` is exhausted. The command was not executed.
    case outOfMemory
    /// MISCONF: the last snapshot failed, so the server rejects writes.
    case snapshotFailed
    /// MASTERDOWN: a replica without its master does not serve old data.
    case masterDown
    /// TRYAGAIN: the slot is moving, and the keys are on two nodes.
    case tryAgain
    /// MOVED: another node owns the slot. An empty host means the replying node's host.
    case moved(slot: UInt16, to: RedisEndpoint)
    /// ASK: the slot is moving, and the other node may already have the key.
    case ask(slot: UInt16, at: RedisEndpoint)
    /// NOSCRIPT: the server's scripts were flushed. The client reloads them, so a retry succeeds.
    case scriptLost
    /// WRONGTYPE: the key holds another type.
    case wrongType
    /// NOAUTH: the server requires a password.
    case notAuthenticated
    /// WRONGPASS: the user or the password is wrong.
    case wrongPassword
    /// NOPERM: the user lacks a permission; with the server's text.
    case notPermitted(String)
    /// BUSY: a script has been running for too long.
    case busy
    /// CROSSSLOT: the command's keys are in different slots.
    case crossSlot
    /// NOREPLICAS: fewer replicas than `min-replicas-to-write`.
    case noReplicas
    /// NOGOODSLAVE: Sentinel finds no replica to promote.
    case noGoodReplica
    /// UNKILLABLE: the running script has written, so only a shutdown of the server can end it.
    case unkillable
    /// Any other error, with the server's text; includes the errors of our own scripts.
    case other(String)

    public var description: String {
        switch self {
        case .connectionLost(mayBeExecuted: true):
            "The connection to Redis was lost before the reply: the command may have been executed."
        case .connectionLost(mayBeExecuted: false):
            "The connection to Redis was lost before the command was sent."
        case .noConnection: "There is no connection to Redis."
        case .queueFull: "Too many commands are queued for Redis."
        case .closed: "The Redis client is closed."
        case .readOnly: "The Redis server is a replica and rejects writes (READONLY)."
        case .loading: "The Redis server is starting and loads its data (LOADING)."
        case .clusterDown: "The Redis Cluster is down: masters are missing (CLUSTERDOWN)."
        case .outOfMemory: "The Redis server has reached its maxmemory and rejects writes (OOM)."
        case .snapshotFailed:
            """
            The Redis server could not write its last snapshot and rejects writes (MISCONF). Check \
            its log and its disk.
            """
        case .masterDown: "The Redis server is a replica without its master (MASTERDOWN)."
        case .tryAgain: "The slot of the keys is moving to another Redis server (TRYAGAIN)."
        case .moved(let slot, let endpoint):
            "Slot \(slot) is on another Redis server, \(endpoint) (MOVED)."
        case .ask(let slot, let endpoint):
            "Slot \(slot) is moving to another Redis server, \(endpoint) (ASK)."
        case .scriptLost:
            "The Redis server has lost the scripts (NOSCRIPT); they are being reloaded."
        case .wrongType:
            """
            A Redis key holds a value of another type (WRONGTYPE). Check whether another program \
            uses the same keys.
            """
        case .notAuthenticated:
            "The Redis server requires a password, but the URL has none (NOAUTH)."
        case .wrongPassword:
            "The Redis server rejects the user and password of the URL (WRONGPASS)."
        case .notPermitted(let text): "The Redis user lacks a permission: \(text)"
        case .busy: "The Redis server is busy with a long-running script (BUSY)."
        case .crossSlot: "Keys of one Redis command are in different slots (CROSSSLOT)."
        case .noReplicas:
            "The Redis server has fewer replicas than min-replicas-to-write (NOREPLICAS)."
        case .noGoodReplica: "Redis Sentinel has no replica to promote (NOGOODSLAVE)."
        case .unkillable:
            "The Redis server runs a script that has written and cannot be killed (UNKILLABLE)."
        case .other(let text): "Redis replied with an error: \(text)"
        }
    }

    /// Whether the server sent the error, as opposed to the client.
    public var isFromServer: Bool {
        switch self {
        case .connectionLost, .noConnection, .queueFull, .closed: false
        default: true
        }
    }

    /// Whether a cluster node has not executed the command, because another node must or because it
    /// must wait.
    var isRedirection: Bool {
        switch self {
        case .moved, .ask, .tryAgain: true
        default: false
        }
    }

    /// Parses an error reply without its minus sign.
    public init(reply bytes: UnsafeRawBufferPointer) {
        // Strings of up to 15 bytes need no allocation.
        let code = String(
            decoding: bytes.prefix(15).prefix { $0 != UInt8(ascii: " ") }, as: UTF8.self)
        self =
            Self.named(code, bytes) ?? Self.scriptError(bytes)
            ?? .other(String(decoding: bytes, as: UTF8.self))
    }

    private static func named(_ code: String, _ bytes: UnsafeRawBufferPointer) -> RedisError? {
        switch code {
        case "READONLY": .readOnly
        case "LOADING": .loading
        case "CLUSTERDOWN": .clusterDown
        case "OOM": .outOfMemory
        case "MISCONF": .snapshotFailed
        case "MASTERDOWN": .masterDown
        case "TRYAGAIN": .tryAgain
        case "MOVED": self.redirection(bytes).map { .moved(slot: $0.slot, to: $0.endpoint) }
        case "ASK": self.redirection(bytes).map { .ask(slot: $0.slot, at: $0.endpoint) }
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

    /// Redis 6 puts a prefix before the error of a command inside a script: `ERR Error running
    /// script … : -OOM command …`.
    private static func scriptError(_ bytes: UnsafeRawBufferPointer) -> RedisError? {
        let text = String(decoding: bytes, as: UTF8.self)
        // Redis 7 has no error code for a missing permission inside a script.
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

    /// `MOVED 3999 127.0.0.1:6381`.
    private static func redirection(_ bytes: UnsafeRawBufferPointer) -> (
        slot: UInt16, endpoint: RedisEndpoint
    )? {
        let fields = String(decoding: bytes, as: UTF8.self).split(separator: " ")
        guard fields.count >= 3, let slot = UInt16(fields[1]), slot < RedisSlot.count,
            case let address = HostPort(atLastColonOf: fields[2]), let port = address.port
        else { return nil }
        return (slot, RedisEndpoint(host: String(address.host), port: port))
    }
}
