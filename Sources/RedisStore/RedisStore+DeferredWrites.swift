import Bytes
import ChatModel
import EventLoop
import RedisClient

/// In Redis Cluster: lists first, then what they name. Where a process dies between the two, a line is left that stands for nothing.
extension RedisStore {
    /// Puts aside what must wait for lines, and whatever else the batch has for the same conversations; asks for the lines.
    ///
    /// - Parameter places: of writes of one shard.
    /// - Returns: those that need not wait.
    func deferWrites(_ places: [Int], of batch: WriteBatch, for deed: UInt64, _ body: inout State)
        -> [Int]
    {
        let now = WallClock.now
        var lines: [Int: IndexEntry] = [:]
        var waiting: [(conversation: ConversationKey, places: [Int])] = []
        for place in places {
            let conversation = batch.writes[place].conversation
            lines[place] = IndexEntry(batch.writes[place], at: now)
            guard lines[place] != nil || body.deferredWrites.contains(conversation),
                !waiting.contains(where: { $0.conversation == conversation })
            else { continue }
            waiting.append((conversation, []))
        }
        if waiting.isEmpty { return places }
        var free: [Int] = []
        for place in places {
            let conversation = batch.writes[place].conversation
            if let part = waiting.firstIndex(where: { $0.conversation == conversation }) {
                waiting[part].places.append(place)
            } else {
                free.append(place)
            }
        }
        for part in waiting {
            self.deferPart(part.conversation, part.places, lines, for: deed, &body)
        }
        return free
    }

    private func deferPart(
        _ conversation: ConversationKey, _ places: [Int], _ lines: [Int: IndexEntry],
        for deed: UInt64, _ body: inout State
    ) {
        var part = DeferredWrites.DeferredPart(
            operation: deed, conversation: conversation, positions: places)
        part.pendingEntryCount = places.count { lines[$0] != nil }
        let isEmpty = part.pendingEntryCount == 0
        let number = body.deferredWrites.add(part)
        body.operations[deed]?.deferredPartCount += 1
        for place in places {
            guard let line = lines[place] else { continue }
            let slot = self.settings.slot(of: body.arguments.key(of: line.indexKey))
            do throws(RedisError) {
                try self.sendCommand(.entry(number, position: place, slot), slot, &body) {
                    command, words in
                    words.appendCommand(for: line, to: &command)
                }
            } catch {
                body.deferredWrites.completeEntry(of: number) { $0.failure = StoreFailure(error) }
            }
        }
        // What is answered is answered later, and not from within the request.
        if !isEmpty, body.deferredWrites[number]?.pendingEntryCount == 0 {
            self.loop.execute { self.sendDeferred(conversation) }
        }
    }

    /// A line is there; where its master has replicas, one of them must have it too before anything relies on it.
    func entryWritten(_ part: UInt64, _ place: Int, _ slot: RedisSlot) {
        let verdict: Bool? = self.loopState.with { body in
            if self.requiredReplicas(slot, body) == 0 { return true }
            guard let connection = body.client?.replyingConnection,
                self.confirmEntry(part, place, slot, over: connection, &body)
            else {
                return false
            }
            return nil
        }
        self.resolveEntry(of: part, verdict)
    }

    func entryConfirmed(by count: Int, _ part: UInt64, _ place: Int, _ slot: RedisSlot) {
        let verdict: Bool? = self.loopState.with { body in
            if count >= self.requiredReplicas(slot, body) ?? 1 { return true }
            guard let waiting = body.deferredWrites[part],
                let deed = body.operations[waiting.operation], MonotonicTime.now < deed.deadline,
                let connection = body.client?.replyingConnection,
                self.confirmEntry(part, place, slot, over: connection, &body)
            else { return false }
            return nil
        }
        self.resolveEntry(of: part, verdict)
    }

    /// - Parameter isThere: nil where that is being asked.
    private func resolveEntry(of part: UInt64, _ isThere: Bool?) {
        guard let isThere else { return }
        self.completeEntry(of: part) { if !isThere { $0.failure = .unconfirmed } }
    }

    /// - Returns: whether the answer will come.
    private func confirmEntry(
        _ part: UInt64, _ place: Int, _ slot: RedisSlot, over connection: RedisConnection,
        _ body: inout State
    ) -> Bool {
        let wanted = max(1, self.requiredReplicas(slot, body) ?? 1)
        do throws(RedisError) {
            try self.sendCommand(
                .confirmEntry(part, position: place, slot), slot, over: connection, &body
            ) { command, _ in
                command.append("WAIT")
                command.append(wanted)
                command.append(self.settings.waitMilliseconds)
            }
            return true
        } catch {
            return false
        }
    }

    func entryFailed(_ error: RedisError, _ part: UInt64, _ place: Int) {
        self.completeEntry(of: part) { part in
            if error == .wrongType {
                part.damaged.insert(place)
            } else {
                part.failure = StoreFailure(error)
            }
        }
    }

    private func completeEntry(
        of number: UInt64, _ note: (inout DeferredWrites.DeferredPart) -> Void
    ) {
        let conversation = self.loopState.with { body in
            body.deferredWrites.completeEntry(of: number, note)
            return body.deferredWrites[number]?.conversation
        }
        if let conversation { self.sendDeferred(conversation) }
    }

    /// Sends what need not wait any longer, in order.
    private func sendDeferred(_ conversation: ConversationKey) {
        while let deed = self.loopState.with({ self.sendNextDeferred(of: conversation, &$0) }) {
            self.advance(deed)
        }
    }

    private func sendNextDeferred(of conversation: ConversationKey, _ body: inout State) -> UInt64?
    {
        guard let part = body.deferredWrites.removeNext(of: conversation),
            case .write(let batch) = body.operations[part.operation]?.request
        else { return nil }
        body.operations[part.operation]?.deferredPartCount -= 1
        var failure = part.failure
        let writable = Array(part.writable)
        if failure == nil {
            for place in part.positions.dropFirst(writable.count) {
                body.operations[part.operation]?.refusals[place] = .damaged
            }
            do throws(RedisError) {
                if !writable.isEmpty {
                    try self.sendWrites(batch, writable, for: part.operation, &body)
                }
            } catch {
                failure = StoreFailure(error)
            }
        }
        if let failure {
            // Whatever became of the lines, the writes behind them were not sent.
            let effect: StoreFailure.Effect = failure.effect == .rejected ? .rejected : .none
            let notSent = StoreFailure(
                "Not written, because a list could not be written before it. \(failure)",
                effect: effect)
            for place in writable {
                body.operations[part.operation]?.refusals[place] = .failed(notSent)
            }
        }
        return part.operation
    }
}
