internal import Bytes
public import JSON

/// One connection of Socket.IO v5, which supports only the main namespace.
///
/// A value that receives events and returns steps. Times are milliseconds of a monotonic clock. A
/// breach of the protocol closes the connection, as in the reference server. A valid but
/// unsupported packet (a binary event, or JSON nested too deep) is rejected with an error, and the
/// connection continues.
public struct SocketSession: Sendable {
    enum State: Sendable {
        /// No CONNECT has arrived.
        case awaitingConnect(until: Int64)
        /// The caller is checking a CONNECT. The deadline applies again if it is rejected.
        case connecting(until: Int64)
        case connected
        /// This side has sent DISCONNECT. Packets that the client sent before it knew are still
        /// arriving.
        case disconnectSent(until: Int64)
        case ended
    }

    let limits: SocketLimits
    var state: State
    /// The number of expected binary frames that belong to a rejected packet.
    var attachmentsDue = 0

    /// Creates the session of a new connection and starts the CONNECT timeout.
    public init(limits: SocketLimits = SocketLimits(), openedAt now: Int64) {
        self.limits = limits
        self.state = .awaitingConnect(until: now + limits.connectTimeout)
    }

    /// Whether events may be sent to the client.
    public var isConnected: Bool {
        if case .connected = self.state { true } else { false }
    }

    /// When `tick` must be called; nil while no timeout is running.
    public var deadline: Int64? {
        switch self.state {
        case .awaitingConnect(let until), .disconnectSent(let until): until
        case .connecting, .connected, .ended: nil
        }
    }

    /// Ends a connection whose client has not sent CONNECT in time. An early call does nothing.
    public mutating func tick(at now: Int64, into steps: inout SocketSteps) {
        if let deadline = self.deadline, deadline <= now { self.end(.connectTimeout, into: &steps) }
    }

    /// A text packet arrived. The steps refer to the values in `document`.
    ///
    /// - Parameter text: UTF-8; the layer below guarantees it.
    public mutating func received(
        _ text: RawSpan, reading document: inout JSONDocument, at now: Int64,
        into steps: inout SocketSteps
    ) {
        if case .ended = self.state { return }
        do throws(SocketPacketError) {
            guard self.attachmentsDue == 0 else { throw .missingAttachment }
            let packet = try SocketPacket.parse(text, limits: self.limits)
            self.attachmentsDue = packet.attachmentCount
            let objection = try packet.readPayload(in: text, into: &document)
            if let namespace = packet.namespace {
                self.processOtherNamespace(packet, Self.name(namespace, of: text), into: &steps)
            } else if let objection {
                self.reject(packet, objection, text, into: &steps)
            } else {
                self.process(packet, document, text, at: now, into: &steps)
            }
        } catch {
            self.end(.malformed(error), into: &steps)
        }
    }

    /// A binary frame arrived, or a binary packet in a polling payload. Announced attachments of
    /// rejected packets are dropped.
    public mutating func receivedBinary(into steps: inout SocketSteps) {
        if case .ended = self.state { return }
        guard self.attachmentsDue > 0 else {
            self.end(.malformed(.unannouncedAttachment), into: &steps)
            return
        }
        self.attachmentsDue -= 1
    }

    /// Accepts the CONNECT of the client.
    ///
    /// - Parameters:
    ///   - sid: the client's public id, not the Engine.IO session id, which is a secret.
    ///   - pid: the token with which the client can recover its state after a broken connection;
    ///     nil if it cannot.
    /// - Returns: whether the client was still waiting for the answer. If not, nothing has changed.
    @discardableResult
    public mutating func accept(sid: String, pid: String?, into steps: inout SocketSteps) -> Bool {
        guard case .connecting = self.state else { return false }
        self.state = .connected
        steps.send { $0.append(socketConnected: sid, pid: pid) }
        return true
    }

    /// Rejects the CONNECT of the client, which may try again until its deadline.
    ///
    /// - Parameter message: the text of the client's `connect_error`.
    public mutating func refuse(_ message: String, into steps: inout SocketSteps) {
        guard case .connecting(let until) = self.state else { return }
        self.state = .awaitingConnect(until: until)
        steps.send { $0.append(socketConnectError: message) }
    }

    /// Disconnects the client, which may connect again. Packets that it sends before it receives
    /// DISCONNECT are dropped.
    public mutating func disconnect(at now: Int64, into steps: inout SocketSteps) {
        guard case .connected = self.state else { return }
        self.state = .disconnectSent(until: now + self.limits.connectTimeout)
        steps.send { $0.append(socketPacket: .disconnect) }
    }

    private mutating func process(
        _ packet: SocketPacket, _ document: borrowing JSONDocument, _ text: RawSpan, at now: Int64,
        into steps: inout SocketSteps
    ) {
        switch (packet.kind, self.state) {
        case (.connectError, _):
            self.end(.unexpected(.connectError), into: &steps)
        case (.connect, .awaitingConnect(let until)), (.connect, .disconnectSent(let until)):
            self.connect(packet, document, text, until: until, into: &steps)
        case (.connect, _):
            self.end(.connectedTwice, into: &steps)
        case (_, .disconnectSent):
            return
        case (.disconnect, .connected):
            self.state = .awaitingConnect(until: now + self.limits.connectTimeout)
            steps.append(.disconnected)
        case (.event, .connected):
            guard let payload = packet.payload, let name = document.firstElement(of: document.root)
            else {
                preconditionFailure("An event without a name passed the checks: \(packet)")
            }
            steps.append(.event(SocketEvent(payload: payload, name: name, ackID: packet.ackID)))
        case (.ack, .connected):
            guard let payload = packet.payload, let id = packet.ackID else {
                preconditionFailure("An ack without an id passed the checks: \(packet)")
            }
            steps.append(.acknowledged(id: id, payload))
        case (.binaryEvent, .connected):
            steps.append(
                .refuse(
                    ackID: packet.ackID, event: packet.eventName(in: text),
                    "binary events are not supported; send JSON"))
        case (.binaryAck, .connected):
            steps.append(
                .refuse(
                    ackID: nil, event: nil, "binary acknowledgements are not supported; send JSON"))
        default:
            self.end(.notConnected, into: &steps)
        }
    }

    /// Handles a packet for another namespace. There is none, so only CONNECT is answered.
    private mutating func processOtherNamespace(
        _ packet: SocketPacket, _ namespace: ByteString, into steps: inout SocketSteps
    ) {
        guard packet.kind == .connect else {
            self.end(.notConnected, into: &steps)
            return
        }
        steps.send { $0.append(socketConnectError: "Invalid namespace", namespace: namespace) }
    }

    private mutating func connect(
        _ packet: SocketPacket, _ document: borrowing JSONDocument, _ text: RawSpan, until: Int64,
        into steps: inout SocketSteps
    ) {
        self.state = .connecting(until: until)
        guard let payload = packet.payload else {
            steps.append(.connect(auth: nil, nil))
            return
        }
        let bytes = text.extracting(payload)
        var fields: [String?] = []
        for name in ["pid", "offset"] as [StaticString] {
            guard let value = document.nonNullMember(name, of: document.root, in: bytes) else {
                fields.append(nil)
                continue
            }
            guard let string = document.string(value, in: bytes) else {
                self.refuse("\(name): must be a string", into: &steps)
                return
            }
            fields.append(string)
        }
        steps.append(
            .connect(auth: payload, fields[0].map { SocketRecovery(pid: $0, offset: fields[1]) }))
    }

    /// Rejects a valid packet whose JSON exceeds the limits.
    private mutating func reject(
        _ packet: SocketPacket, _ sentence: String, _ text: RawSpan, into steps: inout SocketSteps
    ) {
        switch (packet.kind, self.state) {
        case (.connect, .awaitingConnect(let until)), (.connect, .disconnectSent(let until)):
            self.state = .connecting(until: until)
            self.refuse(sentence, into: &steps)
        case (.connect, _):
            self.end(.connectedTwice, into: &steps)
        case (.connectError, _):
            self.end(.unexpected(.connectError), into: &steps)
        case (_, .disconnectSent):
            return
        case (.ack, .connected), (.binaryAck, .connected):
            steps.append(.refuse(ackID: nil, event: nil, sentence))
        case (_, .connected):
            steps.append(.refuse(ackID: packet.ackID, event: packet.eventName(in: text), sentence))
        default:
            self.end(.notConnected, into: &steps)
        }
    }

    private mutating func end(_ closure: SocketClosure, into steps: inout SocketSteps) {
        self.state = .ended
        steps.append(.end(closure))
    }

    private static func name(_ range: Range<Int>, of text: RawSpan) -> ByteString {
        ByteString(text.extracting(range).withUnsafeBytes { String(decoding: $0, as: UTF8.self) })
    }
}
