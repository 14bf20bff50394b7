internal import Bytes

/// HTTP long-polling (Engine.IO protocol v4): GETs wait for packets, POSTs bring packets.
extension EngineSession {
    /// Accepts a poll. It is answered at once if packets are waiting, otherwise by the next
    /// `flush`.
    ///
    /// The protocol requires that a second concurrent poll ends the session: each of the two would
    /// miss the packets that the other receives.
    public mutating func poll(
        _ request: EngineRequestID, at now: Int64, into steps: inout EngineSteps
    ) {
        switch self.state {
        case .polling(var polling):
            guard polling.poll == nil else {
                steps.refuse(request, .badRequest)
                self.end(.secondPoll, into: &steps)
                return
            }
            polling.poll = request
            self.state = .polling(polling)
            self.flush(into: &steps)
            self.releasePoll(at: now, into: &steps)
        case .webSocket:
            steps.refuse(request, .badRequest)
        case .closing(let closure, _):
            steps.answer(request) {
                self.outbox.dequeue(
                    packetLimit: self.settings.answerPackets, byteLimit: self.settings.answerBytes,
                    into: &$0)
            }
            if self.outbox.isEmpty { self.finish(closure, into: &steps) }
        case .closed:
            steps.refuse(request, .unknownSession)
        }
    }

    /// Answers the waiting poll, if there is one, with the queued packets. The caller calls it
    /// after it has sent the packets of a turn.
    public mutating func flush(into steps: inout EngineSteps) {
        guard case .polling(var polling) = self.state, let request = polling.poll,
            !self.outbox.isEmpty
        else { return }
        polling.poll = nil
        self.state = .polling(polling)
        steps.answer(request) {
            self.outbox.dequeue(
                packetLimit: self.settings.answerPackets, byteLimit: self.settings.answerBytes,
                into: &$0)
        }
    }

    /// Answers a waiting poll with `6` during an upgrade: the client upgrades only after its last
    /// poll has returned.
    mutating func releasePoll(at now: Int64, into steps: inout EngineSteps) {
        guard case .polling(var polling) = self.state, let request = polling.poll,
            let due = polling.probe?.noopDue, due <= now
        else {
            return
        }
        polling.poll = nil
        polling.probe?.noopDue = now + Self.noopInterval
        self.state = .polling(polling)
        steps.answer(request) { $0.append(enginePacket: .noop) }
    }

    /// The connection of a poll broke. If the poll was still waiting, the session ends, because
    /// packets may have been lost with it.
    public mutating func pollAborted(_ request: EngineRequestID, into steps: inout EngineSteps) {
        guard case .polling(var polling) = self.state, polling.poll == request else { return }
        polling.poll = nil
        self.state = .polling(polling)
        self.end(.transportClosed, into: &steps)
    }

    /// A POST started; its body may still be incomplete. Unless this step answers it, `postEnded`,
    /// `postTooLarge` or `postAborted` follows.
    ///
    /// - Parameter announcedBytes: the value of its `Content-Length`.
    public mutating func postBegan(
        _ request: EngineRequestID, announcedBytes: Int?, into steps: inout EngineSteps
    ) {
        switch self.state {
        case .polling(var polling):
            guard polling.post == nil else {
                steps.refuse(request, .badRequest)
                self.end(.secondPost, into: &steps)
                return
            }
            if let announcedBytes, announcedBytes > self.settings.maxPayload {
                steps.refuse(request, .payloadTooLarge)
                return
            }
            polling.post = request
            self.state = .polling(polling)
        case .webSocket:
            steps.refuse(request, .badRequest)
        case .closing, .closed:
            steps.refuse(request, .unknownSession)
        }
    }

    /// The body of a POST is complete. It is accepted completely or not at all, except for packets
    /// after a `close` packet. `message` steps are ranges of `body`. The body of a POST that was
    /// already answered is ignored.
    public mutating func postEnded(
        _ request: EngineRequestID, _ body: RawSpan, at now: Int64, into steps: inout EngineSteps
    ) {
        guard self.removePost(request) else { return }
        guard body.byteCount <= self.settings.maxPayload else {
            steps.refuse(request, .payloadTooLarge)
            return
        }
        do throws(EnginePacketError) {
            _ = try EnginePayload.validate(body, packetLimit: self.settings.postPackets)
            var reader = EnginePayloadReader()
            while let packet = try reader.next(in: body) {
                guard let closure = self.process(packet, at: now, into: &steps) else {
                    if packet.kind != .message { steps.append(.control) }
                    continue
                }
                if closure == .byClient {
                    steps.append(.answer(request, .accepted))
                } else {
                    steps.refuse(request, .badRequest)
                }
                self.end(closure, into: &steps)
                return
            }
            steps.append(.answer(request, .accepted))
        } catch {
            if case .tooManyPackets = error {
                steps.refuse(request, .payloadTooLarge)
            } else {
                steps.refuse(request, .badRequest)
                self.end(.malformed(error), into: &steps)
            }
        }
    }

    /// The body of a POST turned out to be longer than `maxPayload`. The session continues, because
    /// the client knows that no packet was accepted.
    public mutating func postTooLarge(_ request: EngineRequestID, into steps: inout EngineSteps) {
        if self.removePost(request) { steps.refuse(request, .payloadTooLarge) }
    }

    /// The connection of a POST broke before its body was complete. The session ends, because its
    /// packets are lost.
    public mutating func postAborted(_ request: EngineRequestID, into steps: inout EngineSteps) {
        if self.removePost(request) { self.end(.transportClosed, into: &steps) }
    }

    /// Removes the POST; returns whether it was open.
    private mutating func removePost(_ request: EngineRequestID) -> Bool {
        guard case .polling(var polling) = self.state, polling.post == request else { return false }
        polling.post = nil
        self.state = .polling(polling)
        return true
    }
}
