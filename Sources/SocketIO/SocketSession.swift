internal import Bytes
public import JSON

/// One connection of Socket.IO v5, with the main namespace and no other.
///
/// A value that is told what happened and says what is to be done; times are milliseconds of a clock that never goes back. What breaks the
/// protocol ends the connection, as in the reference server. What is sound and still not taken (binary events, JSON that nests too deep) is
/// refused in words, and the connection goes on.
public struct SocketSession: Sendable {
    enum State: Sendable {
        /// No CONNECT has come.
        case awaitingConnect(until: Int64)
        /// A CONNECT is being judged. What is left of the client's time is kept for when it is refused.
        case connecting(until: Int64)
        case connected
        /// We have sent DISCONNECT; what the client sent before it knew is still coming in.
        case disconnectSent(until: Int64)
        case ended
    }

    let limits: SocketLimits
    var state: State
    /// How many binary frames are still to come of a packet that was refused.
    var attachmentsDue = 0

    /// The session of a connection that was opened just then; its time to CONNECT runs.
    public init(limits: SocketLimits = SocketLimits(), openedAt now: Int64) {
        self.limits = limits
        self.state = .awaitingConnect(until: now + limits.connectTimeout)
    }

    /// Whether events may be sent to the client.
    public var isConnected: Bool {
        if case .connected = self.state { true } else { false }
    }

    /// When `tick` is to be called; nil while no time is running.
    public var deadline: Int64? {
        switch self.state {
        case .awaitingConnect(let until), .disconnectSent(let until): until
        case .connecting, .connected, .ended: nil
        }
    }

    /// Ends a connection whose client has not sent CONNECT in time. Called early it does nothing.
    public mutating func tick(at now: Int64, into steps: inout SocketSteps) {
        if let deadline = self.deadline, deadline <= now { self.end(.connectTimeout, into: &steps) }
    }

    /// A packet came as text. `document` is lent for reading it: the steps speak of what it holds then.
    ///
    /// - Parameter text: UTF-8, which what lies below makes sure of.
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

    /// A binary frame came, or a binary packet of a polling payload. Those that a refused packet has announced are dropped.
    public mutating func receivedBinary(into steps: inout SocketSteps) {
        if case .ended = self.state { return }
        guard self.attachmentsDue > 0 else {
            self.end(.malformed(.unannouncedAttachment), into: &steps)
            return
        }
        self.attachmentsDue -= 1
    }

    /// Lets the client in.
    ///
    /// - Parameters:
    ///   - sid: what the client is called from here on. Not the Engine.IO session's id, which is a secret.
    ///   - pid: what the client brings back when it wants to go on after its connection broke; nil when it cannot.
    /// - Returns: whether the client still waits to be let in; if not, nothing was done.
    @discardableResult
    public mutating func accept(sid: String, pid: String?, into steps: inout SocketSteps) -> Bool {
        guard case .connecting = self.state else { return false }
        self.state = .connected
        steps.send { $0.append(socketConnected: sid, pid: pid) }
        return true
    }

    /// Does not let the client in; it may try again while its time runs.
    ///
    /// - Parameter message: what the client's `connect_error` says.
    public mutating func refuse(_ message: String, into steps: inout SocketSteps) {
        guard case .connecting(let until) = self.state else { return }
        self.state = .awaitingConnect(until: until)
        steps.send { $0.append(socketConnectError: message) }
    }

    /// Sends the client away. It may come in again; what it sent before it knew of this is dropped.
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
                preconditionFailure("An event without a name was let through: \(packet)")
            }
            steps.append(.event(SocketEvent(payload: payload, name: name, ackID: packet.ackID)))
        case (.ack, .connected):
            guard let payload = packet.payload, let id = packet.ackID else {
                preconditionFailure("An ack without an id was let through: \(packet)")
            }
            steps.append(.acknowledged(id: id, payload))
        case (.binaryEvent, .connected):
            steps.append(
                .refuse(
                    ackID: packet.ackID, event: packet.eventName(in: text),
                    "binary events are not taken; send JSON"))
        case (.binaryAck, .connected):
            steps.append(
                .refuse(ackID: nil, event: nil, "binary acknowledgements are not taken; send JSON"))
        default:
            self.end(.notConnected, into: &steps)
        }
    }

    /// A packet of another namespace than the main one: there is none, so only CONNECT has an answer.
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

    /// A packet that is sound but for what its JSON holds beyond our bounds.
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

    private static func name(_ place: Range<Int>, of text: RawSpan) -> ByteString {
        ByteString(text.extracting(place).withUnsafeBytes { String(decoding: $0, as: UTF8.self) })
    }
}
