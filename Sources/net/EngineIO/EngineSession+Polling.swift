internal import Bytes

/// HTTP long-polling (Engine.IO protocol v4): GETs wait for packets, POSTs bring packets.
extension EngineSession {
    /// How long a poll waits for the report that the answer before it has arrived.
    static let reportTimeout: Int64 = 500
    /// More polls in a row with one mark are no repetitions: the client marks all of them equally.
    public static let repeatLimit = 3

    /// Accepts a poll. It is answered at once if packets are waiting, otherwise by the next
    /// `flush`.
    ///
    /// The packets of an answer are kept until they have arrived. A repeated poll gets them again,
    /// and takes the place of the poll that it repeats.
    ///
    /// The protocol requires that a second concurrent poll ends the session: each of the two would
    /// miss the packets that the other receives.
    public mutating func poll(
        _ request: EngineRequestID, provenBy proof: EnginePollProof = .nextPoll, at now: Int64,
        into steps: inout EngineSteps
    ) {
        let isRepeated = self.isRepetition(request, proof)
        switch self.state {
        case .polling(var polling):
            if let waiting = polling.poll {
                guard isRepeated else {
                    steps.refuse(request, .badRequest)
                    self.end(.secondPoll, into: &steps)
                    return
                }
                steps.answer(waiting) { $0.append(enginePacket: .noop) }
            }
            polling.poll = request
            polling.awaitedReport = self.proveLastAnswer(
                by: proof, isRepeated: isRepeated, at: now)
            self.recordPoll(request, proof, isRepeated: isRepeated)
            self.state = .polling(polling)
            self.flush(into: &steps)
            self.releasePoll(at: now, into: &steps)
        case .webSocket:
            steps.refuse(request, .badRequest)
        case .closing(let closure, _):
            if isRepeated {
                self.packetQueue.returnUnproven()
            } else {
                self.packetQueue.removeUnproven()
            }
            self.recordPoll(request, proof, isRepeated: isRepeated)
            guard !self.packetQueue.isEmpty else {
                steps.refuse(request, .unknownSession)
                self.finish(closure, into: &steps)
                return
            }
            self.dequeue(for: request, into: &steps)
            if self.packetQueue.isEmpty, !closure.isTemporary { self.finish(closure, into: &steps) }
        case .closed:
            steps.refuse(request, .unknownSession)
        }
    }

    /// Whether a poll repeats the one before it. A later poll on the same connection does not.
    private func isRepetition(_ request: EngineRequestID, _ proof: EnginePollProof) -> Bool {
        guard let last = self.lastPoll, proof.isMark else { return false }
        return proof == last.proof && request != last.request && last.repeats < Self.repeatLimit
    }

    private mutating func recordPoll(
        _ request: EngineRequestID, _ proof: EnginePollProof, isRepeated: Bool
    ) {
        let repeats = isRepeated ? (self.lastPoll?.repeats ?? 0) + 1 : 0
        self.lastPoll = LastPoll(request: request, proof: proof, repeats: repeats)
    }

    /// Removes the packets of the last answer, or returns them to the queue if a poll repeats the
    /// one before it.
    ///
    /// - Returns: the report for which the poll waits; nil if it need not.
    private mutating func proveLastAnswer(
        by proof: EnginePollProof, isRepeated: Bool, at now: Int64
    ) -> AwaitedReport? {
        guard self.packetQueue.hasUnproven, let last = self.lastPoll else { return nil }
        if isRepeated {
            self.packetQueue.returnUnproven()
        } else if last.proof == .report, !proof.isMark {
            return AwaitedReport(answer: last.request, until: now + Self.reportTimeout)
        } else {
            self.packetQueue.removeUnproven()
        }
        return nil
    }

    /// The answer to a poll with `EnginePollProof.report` has arrived.
    public mutating func answerArrived(
        _ request: EngineRequestID, into steps: inout EngineSteps
    ) {
        guard case .polling(var polling) = self.state,
            request == polling.awaitedReport?.answer ?? self.lastPoll?.request
        else { return }
        self.packetQueue.removeUnproven()
        polling.awaitedReport = nil
        self.state = .polling(polling)
        self.flush(into: &steps)
    }

    private mutating func dequeue(for request: EngineRequestID, into steps: inout EngineSteps) {
        steps.answer(request) {
            self.packetQueue.dequeue(
                packetLimit: self.settings.answerPackets, byteLimit: self.settings.answerBytes,
                into: &$0)
        }
        if self.lastPoll?.proof == .nextPoll { self.packetQueue.removeUnproven() }
    }

    /// Answers the waiting poll, if there is one, with the queued packets. The caller calls it
    /// after it has sent the packets of a turn.
    public mutating func flush(into steps: inout EngineSteps) {
        guard case .polling(var polling) = self.state, let request = polling.poll,
            polling.awaitedReport == nil, !self.packetQueue.isEmpty
        else { return }
        polling.poll = nil
        self.state = .polling(polling)
        self.dequeue(for: request, into: &steps)
    }

    /// Answers a waiting poll with `6` during an upgrade: the client upgrades only after its last
    /// poll has returned.
    mutating func releasePoll(at now: Int64, into steps: inout EngineSteps) {
        guard case .polling(var polling) = self.state, let request = polling.poll,
            polling.awaitedReport == nil, let due = polling.probe?.noopDue, due <= now
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
