internal import Bytes

/// HTTP long-polling (Engine.IO protocol v4): GETs that wait for packets, POSTs that bring some.
extension EngineSession {
    /// A poll came. It is answered at once when packets wait, else with the next `flush`.
    ///
    /// A second one beside it ends the session, as the protocol has it: one of the two would miss packets that the other one gets.
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
        case .closing(let why, _):
            steps.answer(request) {
                self.outbox.dequeue(
                    packetLimit: self.settings.answerPackets, byteLimit: self.settings.answerBytes,
                    into: &$0)
            }
            if self.outbox.isEmpty { self.finish(why, into: &steps) }
        case .closed:
            steps.refuse(request, .unknownSession)
        }
    }

    /// Answers the poll that waits, if one does, with what was sent. To be called when a turn's packets were sent.
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

    /// Answers a waiting poll with `6` while a WebSocket takes over: the client goes on when its last poll is back.
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

    /// The connection of a poll broke. If the poll still waited, the session is over: packets may have been on their way to it.
    public mutating func pollAborted(_ request: EngineRequestID, into steps: inout EngineSteps) {
        guard case .polling(var polling) = self.state, polling.poll == request else { return }
        polling.poll = nil
        self.state = .polling(polling)
        self.end(.transportClosed, into: &steps)
    }

    /// A POST came; its body may still be under way. Unless it is answered in this step, `postEnded`, `postTooLarge` or `postAborted` follows.
    ///
    /// - Parameter announcedBytes: what its `Content-Length` says.
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

    /// The body of a POST is whole. It is taken whole or not at all, but for what stands behind a `close` packet; `message` steps are
    /// places in `body`. A POST that was answered while its body was under way brings nothing.
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
                guard let closure = self.process(packet, at: now, into: &steps) else { continue }
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

    /// A POST whose whole body is there when it is heard of.
    public mutating func post(
        _ request: EngineRequestID, _ body: RawSpan, at now: Int64, into steps: inout EngineSteps
    ) {
        self.postBegan(request, announcedBytes: body.byteCount, into: &steps)
        self.postEnded(request, body, at: now, into: &steps)
    }

    /// The body of a POST turned out longer than `maxPayload`. The session goes on: the client knows that nothing was taken.
    public mutating func postTooLarge(_ request: EngineRequestID, into steps: inout EngineSteps) {
        if self.removePost(request) { steps.refuse(request, .payloadTooLarge) }
    }

    /// The connection of a POST broke before its body was whole: what it was to bring is missing, so the session is over.
    public mutating func postAborted(_ request: EngineRequestID, into steps: inout EngineSteps) {
        if self.removePost(request) { self.end(.transportClosed, into: &steps) }
    }

    /// Whether the POST was under way.
    private mutating func removePost(_ request: EngineRequestID) -> Bool {
        guard case .polling(var polling) = self.state, polling.post == request else { return false }
        polling.post = nil
        self.state = .polling(polling)
        return true
    }
}
