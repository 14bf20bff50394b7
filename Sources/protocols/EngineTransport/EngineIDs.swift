internal import EngineIO
internal import EventLoop

/// The ids that a session uses for requests and WebSockets, in 64 bits: the token of a connection
/// of this loop, or the number of a request that another node forwarded.
///
/// The highest bit distinguishes them: it is set in numbers, and generations of tokens never become
/// so large.
extension EngineRequestID {
    /// The id of a connection's request: a connection has one at a time.
    init(_ token: SocketToken) { self.init(rawValue: token.packed) }

    init(forwarded number: UInt64) { self.init(rawValue: number) }

    /// The request that asked for a forwarded WebSocket.
    init(_ socket: EngineSocketID) { self.init(rawValue: socket.rawValue) }

    var isForwarded: Bool { self.rawValue >> 63 == 1 }
}

extension EngineSocketID {
    init(_ token: SocketToken) { self.init(rawValue: token.packed) }

    init(forwarded number: UInt64) { self.init(rawValue: number) }

    var isForwarded: Bool { self.rawValue >> 63 == 1 }
}

extension SocketToken {
    fileprivate var packed: UInt64 { UInt64(self.generation) << 32 | UInt64(self.slot) }

    /// The token from which an id was made.
    init(_ id: EngineRequestID) {
        self.init(
            slot: UInt32(truncatingIfNeeded: id.rawValue), generation: UInt32(id.rawValue >> 32))
    }

    /// The token from which an id was made.
    init(_ id: EngineSocketID) {
        self.init(
            slot: UInt32(truncatingIfNeeded: id.rawValue), generation: UInt32(id.rawValue >> 32))
    }
}
