internal import Bytes

/// A way of carrying packets (Engine.IO protocol v4, "Transports").
public enum EngineTransport: String, Sendable, Hashable {
    case polling, webSocket = "websocket"
}

/// An HTTP method, as far as Engine.IO tells them apart. `OPTIONS` is for whoever answers CORS, before this.
public enum EngineMethod: Sendable, Hashable {
    case get, post, other
}

/// What a request under the Engine.IO path asks for, by its method and its query.
public enum EngineRequest: Sendable, Hashable {
    /// Opens a session over this transport.
    case handshake(EngineTransport)
    /// Waits for packets.
    case poll(EngineSessionID)
    /// Brings packets.
    case post(EngineSessionID)
    /// A WebSocket for a session that polls: the upgrade.
    case upgrade(EngineSessionID)

    /// Reads a request; what it throws is its answer.
    ///
    /// A query in which `EIO`, `transport` or `sid` repeats is refused, because the two readers on its way might take different ones.
    /// So is `j`, which asks for JSONP: no browser that speaks v4 needs it.
    ///
    /// - Parameters:
    ///   - query: what stands behind the question mark, still percent-encoded.
    ///   - isWebSocket: whether the request asks for an upgrade to WebSocket.
    public init(_ method: EngineMethod, query: RawSpan, isWebSocket: Bool) throws(EngineRefusal) {
        let transportName = try Self.value("transport", in: query)
        let sid = try Self.value("sid", in: query)
        let version = try Self.value("EIO", in: query)
        guard let transport = transportName.flatMap(EngineTransport.init) else {
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

    /// A transport that the request itself does not bear out, and JSONP.
    private static func checkTransport(
        _ transport: EngineTransport, _ query: RawSpan, isWebSocket: Bool
    ) throws(EngineRefusal) {
        guard (transport == .webSocket) == isWebSocket, try Self.value("j", in: query) == nil else {
            throw .badRequest
        }
    }

    /// The parameter's value; nil when it is not there.
    private static func value(_ name: StaticString, in query: RawSpan) throws(EngineRefusal)
        -> String?
    {
        var found: String?
        var start = 0
        while start < query.byteCount {
            var end = start
            var equals: Int?
            while end < query.byteCount {
                let letter = query.unsafeLoad(fromByteOffset: end, as: UInt8.self)
                if letter == UInt8(ascii: "&") { break }
                if letter == UInt8(ascii: "="), equals == nil { equals = end }
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

    private static func percentDecoded(_ place: Range<Int>, of query: RawSpan) throws(EngineRefusal)
        -> String
    {
        let text = query.extracting(place).withUnsafeBytes {
            PercentEncoding.decode($0, plusIsSpace: true)
        }
        guard let text else { throw .badRequest }
        return text
    }
}
