internal import Bytes

/// WebSocket, and the upgrade from polling (Engine.IO protocol v4, "Upgrade").
extension EngineSession {
    private static let probeReply = SharedPacket(SharedFrame(Array("3probe".utf8)))

    /// A WebSocket with this session's id was opened. It may replace polling, which continues in
    /// the meantime.
    ///
    /// Only one WebSocket may try at a time, and none once the session uses a WebSocket. Any other
    /// is closed without an effect on the session.
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

    /// A text frame arrived; `message` steps are ranges of `text`. Frames of other sockets are
    /// ignored.
    ///
    /// - Parameter text: UTF-8; the WebSocket layer guarantees it.
    public mutating func received(
        _ text: RawSpan, on socket: EngineSocketID, at now: Int64, into steps: inout EngineSteps
    ) {
        switch self.state {
        case .webSocket(socket):
            do throws(EnginePacketError) {
                let packet = try EnginePacket.parse(0..<text.byteCount, of: text)
                // Base64 is only for payloads: a WebSocket has binary frames.
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

    /// A probing socket sends `2probe` and then `5`. Any other packet ends the attempt.
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
        // A client sends `5` after its last poll and its last POST have returned. If it does not
        // wait, both are answered without an effect.
        if let poll = polling.poll { steps.answer(poll) { $0.append(enginePacket: .noop) } }
        if let post = polling.post { steps.refuse(post, .badRequest) }
        self.state = .webSocket(socket)
        self.packetQueue.drain { steps.append(.send($0, socket)) }
        steps.append(.upgraded(socket))
    }

    /// A binary frame arrived.
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

    /// A socket was closed by either side. If it was only probing, the session continues to poll.
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

    /// Closes the probing socket. Polling continues.
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
