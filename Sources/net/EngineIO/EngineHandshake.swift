public import Bytes
internal import JSON

/// The content of the `open` packet (Engine.IO protocol v4, "Handshake").
public struct EngineHandshake: Sendable, Hashable {
    /// The session id that the client sends with every later request.
    public let sid: EngineSessionID
    /// The transport that the session starts with. A polling session can be upgraded to WebSocket.
    public let transport: EngineTransportKind
    /// Milliseconds between two pings of the server.
    public let pingInterval: Int64
    /// Milliseconds within which the client must answer a ping. From both values the client knows
    /// when the server has gone.
    public let pingTimeout: Int64
    /// The maximum number of bytes in one POST.
    public let maxPayload: Int

    /// Creates the handshake of a session that starts over `transport` with these settings.
    public init(
        _ sid: EngineSessionID, over transport: EngineTransportKind, _ settings: EngineSettings
    ) {
        self.sid = sid
        self.transport = transport
        self.pingInterval = settings.pingInterval
        self.pingTimeout = settings.pingTimeout
        self.maxPayload = settings.maxPayload
    }
}

extension ByteBuffer {
    /// Appends the whole packet:
    /// `0{"sid":…,"upgrades":…,"pingInterval":…,"pingTimeout":…,"maxPayload":…}`.
    public mutating func append(engineOpen handshake: EngineHandshake) {
        self.append(enginePacket: .open)
        self.append(#"{"sid":"#)
        self.append(jsonString: handshake.sid.text)
        self.append(
            handshake.transport == .polling
                ? #","upgrades":["websocket"],"pingInterval":"# : #","upgrades":[],"pingInterval":"#
        )
        self.append(decimal: handshake.pingInterval)
        self.append(#","pingTimeout":"#)
        self.append(decimal: handshake.pingTimeout)
        self.append(#","maxPayload":"#)
        self.append(decimal: handshake.maxPayload)
        self.append("}")
    }
}
