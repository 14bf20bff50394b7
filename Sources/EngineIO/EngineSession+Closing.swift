internal import Bytes

/// How a session ends (Engine.IO protocol v4, "Disconnection").
extension EngineSession {
    private static let closePacket = SharedFrame([EnginePacketKind.close.typeByte])

    /// Closes the session from this side, behind everything that was sent.
    ///
    /// While it polls, the waiting poll gets what was sent and a `close` packet; without one the next poll may still fetch them, for
    /// `closeTimeout`.
    ///
    /// - Parameter code: what a WebSocket is closed with.
    public mutating func close(
        code: UInt16, reason: String, at now: Int64, into steps: inout EngineSteps
    ) {
        let closure = EngineClosure.byServer(code: code)
        switch self.state {
        case .webSocket(let socket):
            steps.append(.closeSocket(socket, code: code, reason: reason))
            self.finish(closure, into: &steps)
        case .polling(let polling):
            self.endOpenRequests(polling, code: code, reason: reason, into: &steps)
            self.outbox.append(Self.closePacket)
            self.state = .closing(closure, until: now + self.settings.closeTimeout)
            if let poll = polling.poll { self.poll(poll, at: now, into: &steps) }
        case .closing, .closed:
            return
        }
    }

    /// Ends the session at once; what waits is given up.
    mutating func end(_ closure: EngineClosure, into steps: inout EngineSteps) {
        switch self.state {
        case .webSocket(let socket):
            steps.append(
                .closeSocket(socket, code: closure.webSocketCode, reason: closure.description))
        case .polling(let polling):
            self.endOpenRequests(
                polling, code: closure.webSocketCode, reason: closure.description, into: &steps)
            // Whoever has said goodbye needs none.
            let farewell: EnginePacketKind = closure == .byClient ? .noop : .close
            if let poll = polling.poll { steps.answer(poll) { $0.append(enginePacket: farewell) } }
        case .closing:
            break
        case .closed:
            return
        }
        self.finish(closure, into: &steps)
    }

    /// The requests and sockets of a polling session that end with it, but for the poll.
    private func endOpenRequests(
        _ polling: Polling, code: UInt16, reason: String, into steps: inout EngineSteps
    ) {
        if let post = polling.post { steps.refuse(post, .badRequest) }
        if let probe = polling.probe {
            steps.append(.closeSocket(probe.socket, code: code, reason: reason))
        }
    }

    mutating func finish(_ closure: EngineClosure, into steps: inout EngineSteps) {
        self.outbox.removeAll()
        self.state = .closed(closure)
        steps.append(.closed(closure))
    }
}
