internal import Bytes

/// WebSocket, and the way to it from polling (Engine.IO protocol v4, "Upgrade").
extension EngineSession {
    private static let probeReply = SharedFrame(Array("3probe".utf8))

    /// A WebSocket was opened that names this session: it may take over from polling. Polling goes on meanwhile.
    ///
    /// Only one at a time may try, and none once a WebSocket carries the session; another is closed, and the session does not care.
    public mutating func socketOpened(
        _ socket: EngineSocketID, at now: Int64, into steps: inout EngineSteps
    ) {
        guard case .polling(var polling) = self.state, polling.probe == nil else {
            let isOver = self.closure != nil
            steps.append(
                .closeSocket(
                    socket, code: 1008,
                    reason: isOver
                        ? "the session is over" : "another WebSocket has this session already"))
            return
        }
        polling.probe = UpgradeProbe(socket: socket, deadline: now + self.settings.upgradeTimeout)
        self.state = .polling(polling)
    }

    /// A text frame came; `message` steps are places in `text`. Of a socket that the session knows no more it means nothing.
    ///
    /// - Parameter text: UTF-8, which a WebSocket makes sure of.
    public mutating func received(
        _ text: RawSpan, on socket: EngineSocketID, at now: Int64, into steps: inout EngineSteps
    ) {
        switch self.state {
        case .webSocket(socket):
            do throws(EnginePacketError) {
                let packet = try EnginePacket.parse(0..<text.byteCount, of: text)
                // Base64 is for payloads: a WebSocket has binary frames.
                guard !packet.isBinary else { throw .unknownType(UInt8(ascii: "b")) }
                if let closure = self.process(packet, at: now, into: &steps) {
                    self.end(closure, into: &steps)
                }
            } catch {
                self.end(.malformed(error), into: &steps)
            }
        case .polling(let polling):
            guard let probe = polling.probe, probe.socket == socket else { return }
            self.advanceProbe(probe, by: text, at: now, into: &steps)
        case .webSocket, .closing, .closed:
            return
        }
    }

    /// A socket that is to take over says `2probe`, and then `5`. Anything else is the end of the attempt.
    private mutating func advanceProbe(
        _ probe: UpgradeProbe, by text: RawSpan, at now: Int64, into steps: inout EngineSteps
    ) {
        guard case .polling(var polling) = self.state else { return }
        if probe.noopDue == nil, Self.equals(text, "2probe") {
            polling.probe?.noopDue = now
            self.state = .polling(polling)
            steps.append(.send(Self.probeReply, probe.socket))
            self.flush(into: &steps)
            self.releasePoll(at: now, into: &steps)
        } else if probe.noopDue != nil, Self.equals(text, "5") {
            self.upgrade(to: probe.socket, polling, into: &steps)
        } else {
            let expected = probe.noopDue == nil ? "2probe" : "5"
            self.abandonProbe(code: 1002, "the packet \(expected) was expected", into: &steps)
        }
    }

    private mutating func upgrade(
        to socket: EngineSocketID, _ polling: Polling, into steps: inout EngineSteps
    ) {
        // A client sends `5` when its last poll and its last POST are back. One that does not wait hears that they brought nothing.
        if let poll = polling.poll { steps.answer(poll) { $0.append(enginePacket: .noop) } }
        if let post = polling.post { steps.refuse(post, .badRequest) }
        self.state = .webSocket(socket)
        self.outbox.drain { steps.append(.send($0, socket)) }
        steps.append(.upgraded(socket))
    }

    /// A binary frame came.
    public mutating func receivedBinary(on socket: EngineSocketID, into steps: inout EngineSteps) {
        switch self.state {
        case .webSocket(socket):
            steps.append(.binary)
        case .polling(let polling) where polling.probe?.socket == socket:
            self.abandonProbe(code: 1002, "a packet of text was expected", into: &steps)
        case .polling, .webSocket, .closing, .closed:
            return
        }
    }

    /// A socket ended, by whomever. One that has not taken over leaves the session polling.
    public mutating func socketClosed(_ socket: EngineSocketID, into steps: inout EngineSteps) {
        switch self.state {
        case .webSocket(socket):
            self.finish(.transportClosed, into: &steps)
        case .polling(var polling) where polling.probe?.socket == socket:
            polling.probe = nil
            self.state = .polling(polling)
        case .polling, .webSocket, .closing, .closed:
            return
        }
    }

    /// Closes the socket that was to take over. Polling goes on.
    mutating func abandonProbe(code: UInt16, _ reason: String, into steps: inout EngineSteps) {
        guard case .polling(var polling) = self.state, let probe = polling.probe else { return }
        polling.probe = nil
        self.state = .polling(polling)
        steps.append(.closeSocket(probe.socket, code: code, reason: reason))
    }

    private static func equals(_ text: RawSpan, _ packet: StaticString) -> Bool {
        text.withUnsafeBytes {
            $0.elementsEqual(
                UnsafeBufferPointer(start: packet.utf8Start, count: packet.utf8CodeUnitCount))
        }
    }
}
