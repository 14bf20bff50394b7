internal import Bytes

/// How packets are transported (Engine.IO protocol v4, "Transports").
public enum EngineTransportKind: String, Sendable, Hashable {
    case polling, webSocket = "websocket"
}

/// An HTTP method, as far as Engine.IO distinguishes them. The CORS code answers `OPTIONS` before
/// this.
public enum EngineMethod: Sendable, Hashable {
    case get, post, other
}

/// The meaning of a request under the Engine.IO path, by its method and its query.
public enum EngineRequest: Sendable, Hashable {
    /// Opens a session over this transport.
    case handshake(EngineTransportKind)
    /// Waits for packets.
    case poll(EngineSessionID)
    /// Sends packets.
    case post(EngineSessionID)
    /// A WebSocket for a polling session: the upgrade.
    case upgrade(EngineSessionID)

    /// Parses a request. The thrown error is the response.
    ///
    /// A query that repeats `EIO`, `transport` or `sid` is rejected, because a proxy and this node
    /// might read different values. `j` asks for JSONP and is rejected too: no browser that
    /// supports v4 needs it.
    ///
    /// - Parameters:
    ///   - query: the text after the question mark, percent-encoded.
    ///   - isWebSocket: whether the request asks for an upgrade to WebSocket.
    public init(_ method: EngineMethod, query: RawSpan, isWebSocket: Bool) throws(EngineRefusal) {
        let transportName = try Self.value("transport", in: query)
        let sid = try Self.value("sid", in: query)
        let version = try Self.value("EIO", in: query)
        guard let transport = transportName.flatMap(EngineTransportKind.init) else {
            throw .unknownTransport
        }
        guard let sid else {
            guard method == .get else { throw .badHandshakeMethod }
            guard version == "4" else { throw .unsupportedVersion }
            try Self.checkTransport(transport, query, isWebSocket: isWebSocket)
            self = .handshake(transport)
            return
        }
        guard let id = EngineSessionID(named: sid) else { throw .unknownSession }
        guard version == "4" else { throw .unsupportedVersion }
        try Self.checkTransport(transport, query, isWebSocket: isWebSocket)
        switch (transport, method) {
        case (.polling, .get): self = .poll(id)
        case (.polling, .post): self = .post(id)
        case (.webSocket, .get): self = .upgrade(id)
        default: throw .badRequest
        }
    }

    /// The proof that the answer to a poll will have arrived, by the poll's query.
    ///
    /// Most client libraries put a new value into `t` for every request, so that no cache answers
    /// it.
    public static func proof(in query: RawSpan) -> EnginePollProof {
        guard let mark = try? Self.value("t", in: query), !mark.isEmpty else { return .nextPoll }
        return .otherMark(StableHash.of(ByteString(mark)))
    }

    /// Rejects a `transport` that does not match the request, and JSONP.
    private static func checkTransport(
        _ transport: EngineTransportKind, _ query: RawSpan, isWebSocket: Bool
    ) throws(EngineRefusal) {
        guard (transport == .webSocket) == isWebSocket, try Self.value("j", in: query) == nil else {
            throw .badRequest
        }
    }

    /// Returns the value of a parameter, or nil if it is missing.
    private static func value(_ name: StaticString, in query: RawSpan) throws(EngineRefusal)
        -> String?
    {
        var found: String?
        var start = 0
        while start < query.byteCount {
            var end = start
            var equals: Int?
            while end < query.byteCount {
                let byte = query.unsafeLoad(fromByteOffset: end, as: UInt8.self)
                if byte == UInt8(ascii: "&") { break }
                if byte == UInt8(ascii: "="), equals == nil { equals = end }
                end += 1
            }
            if try Self.percentDecoded(start..<(equals ?? end), of: query) == name.description {
                guard found == nil else { throw .badRequest }
                found =
                    try equals.map { at throws(EngineRefusal) in
                        try Self.percentDecoded(at + 1..<end, of: query)
                    } ?? ""
            }
            start = end + 1
        }
        return found
    }

    private static func percentDecoded(_ range: Range<Int>, of query: RawSpan) throws(EngineRefusal)
        -> String
    {
        let text = query.extracting(range).withUnsafeBytes {
            PercentEncoding.decode($0, plusIsSpace: true)
        }
        guard let text else { throw .badRequest }
        return text
    }
}
