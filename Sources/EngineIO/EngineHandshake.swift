public import Bytes
internal import JSON

/// What the `open` packet tells a client (Engine.IO protocol v4, "Handshake").
public struct EngineHandshake: Sendable, Hashable {
    /// What the client names the session by in every later request.
    public let sid: EngineSessionID
    /// The transport that the session begins with; one that polls may go over to WebSocket.
    public let transport: EngineTransport
    /// Milliseconds from one ping of the server's to the next.
    public let pingInterval: Int64
    /// Milliseconds that a pong may take; by both, the client tells when the server is gone.
    public let pingTimeout: Int64
    /// The most bytes that the client may send in one POST.
    public let maxPayload: Int

    /// The handshake of a session that begins over `transport` and lives by these settings.
    public init(_ sid: EngineSessionID, over transport: EngineTransport, _ settings: EngineSettings)
    {
        self.sid = sid
        self.transport = transport
        self.pingInterval = settings.pingInterval
        self.pingTimeout = settings.pingTimeout
        self.maxPayload = settings.maxPayload
    }
}

extension ByteBuffer {
    /// The whole packet: `0{"sid":…,"upgrades":…,"pingInterval":…,"pingTimeout":…,"maxPayload":…}`.
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
