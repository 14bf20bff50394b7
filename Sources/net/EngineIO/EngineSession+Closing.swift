internal import Bytes

/// How a session ends (Engine.IO protocol v4, "Disconnection").
extension EngineSession {
    private static let closePacket = SharedPacket(
        SharedFrame([EnginePacketKind.close.typeByte]))

    /// Closes the session from this side, after everything that was sent.
    ///
    /// In a polling session, the waiting poll receives the queued packets. If no poll is waiting,
    /// later polls can still fetch them for `closeTimeout`. Then comes a `close` packet, or if the
    /// client may come back, the next poll is refused, because the session is unknown.
    ///
    /// - Parameter code: the close code of a WebSocket. A client may come back after 1001 and 1011
    ///   to 1013.
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
            if polling.awaitedReport != nil { self.packetQueue.returnUnproven() }
            if !closure.isTemporary { self.packetQueue.append(Self.closePacket) }
            self.state = .closing(closure, until: now + self.settings.closeTimeout)
            if let poll = polling.poll {
                self.poll(poll, provenBy: self.lastPoll?.proof ?? .nextPoll, at: now, into: &steps)
            }
        case .closing, .closed:
            return
        }
    }

    /// Ends the session immediately and drops the queued packets.
    mutating func end(_ closure: EngineClosure, into steps: inout EngineSteps) {
        switch self.state {
        case .webSocket(let socket):
            steps.append(
                .closeSocket(socket, code: closure.webSocketCode, reason: closure.description))
        case .polling(let polling):
            self.endOpenRequests(
                polling, code: closure.webSocketCode, reason: closure.description, into: &steps)
            guard let poll = polling.poll else { break }
            if closure.isTemporary {
                steps.refuse(poll, .unknownSession)
            } else {
                // A client that closed the session itself needs no `close` packet.
                let lastPacket: EnginePacketKind = closure == .byClient ? .noop : .close
                steps.answer(poll) { $0.append(enginePacket: lastPacket) }
            }
        case .closing:
            break
        case .closed:
            return
        }
        self.finish(closure, into: &steps)
    }

    /// Ends the POST and the probe of a polling session. The poll is answered by the caller.
    private func endOpenRequests(
        _ polling: Polling, code: UInt16, reason: String, into steps: inout EngineSteps
    ) {
        if let post = polling.post { steps.refuse(post, .badRequest) }
        if let probe = polling.probe {
            steps.append(.closeSocket(probe.socket, code: code, reason: reason))
        }
    }

    mutating func finish(_ closure: EngineClosure, into steps: inout EngineSteps) {
        self.packetQueue.removeAll()
        self.state = .closed(closure)
        steps.append(.closed(closure))
    }
}
