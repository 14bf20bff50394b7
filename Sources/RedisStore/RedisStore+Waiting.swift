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
    func setAside(_ places: [Int], of batch: WriteBatch, for deed: UInt64, _ body: inout Body) -> [Int] {
        let now = WallClock.now
        var lines: [Int: ListEntry] = [:]
        var waiting: [(conversation: ConversationKey, places: [Int])] = []
        for place in places {
            let conversation = batch.writes[place].conversation
            lines[place] = ListEntry(batch.writes[place], at: now)
            guard lines[place] != nil || body.waiting.holds(conversation), !waiting.contains(where: { $0.conversation == conversation })
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
        for part in waiting { self.setAside(part.conversation, part.places, lines, for: deed, &body) }
        return free
    }

    private func setAside(
        _ conversation: ConversationKey, _ places: [Int], _ lines: [Int: ListEntry], for deed: UInt64, _ body: inout Body
    ) {
        var part = WaitingWrites.Part(deed: deed, conversation: conversation, places: places)
        part.linesUnderWay = places.count { lines[$0] != nil }
        let isEmpty = part.linesUnderWay == 0
        let number = body.waiting.add(part)
        body.deeds[deed]?.partsWaiting += 1
        for place in places {
            guard let line = lines[place] else { continue }
            let slot = self.settings.slot(of: body.words.name(of: line.shelf))
            do throws(RedisError) {
                try self.call(.line(number, place: place, slot), slot, &body) { command, words in
                    words.appendCommand(for: line, to: &command)
                }
            } catch {
                body.waiting.settleLine(of: number) { $0.failure = StoreFailure(error) }
            }
        }
        // What is answered is answered later, and not from within the request.
        if !isEmpty, body.waiting[number]?.linesUnderWay == 0 { self.loop.execute { self.release(conversation) } }
    }

    /// A line is there; where its master has replicas, one of them must have it too before anything relies on it.
    func lineWritten(_ part: UInt64, _ place: Int, _ slot: RedisSlot) {
        let verdict: Bool? = self.body.with { body in
            if self.replicasWanted(slot, body) == 0 { return true }
            guard let connection = body.client?.answering, self.confirmLine(part, place, slot, over: connection, &body) else {
                return false
            }
            return nil
        }
        self.settleLine(of: part, verdict)
    }

    func lineConfirmed(by count: Int, _ part: UInt64, _ place: Int, _ slot: RedisSlot) {
        let verdict: Bool? = self.body.with { body in
            if count >= self.replicasWanted(slot, body) ?? 1 { return true }
            guard let waiting = body.waiting[part], let deed = body.deeds[waiting.deed], MonotonicTime.now < deed.deadline,
                let connection = body.client?.answering, self.confirmLine(part, place, slot, over: connection, &body)
            else { return false }
            return nil
        }
        self.settleLine(of: part, verdict)
    }

    /// - Parameter isThere: nil where that is being asked.
    private func settleLine(of part: UInt64, _ isThere: Bool?) {
        guard let isThere else { return }
        self.settleLine(of: part) { if !isThere { $0.failure = .unconfirmed } }
    }

    /// - Returns: whether the answer will come.
    private func confirmLine(
        _ part: UInt64, _ place: Int, _ slot: RedisSlot, over connection: RedisConnection, _ body: inout Body
    ) -> Bool {
        let wanted = max(1, self.replicasWanted(slot, body) ?? 1)
        do throws(RedisError) {
            try self.call(.confirmLine(part, place: place, slot), slot, over: connection, &body) { command, _ in
                command.append("WAIT")
                command.append(wanted)
                command.append(self.settings.waitMilliseconds)
            }
            return true
        } catch {
            return false
        }
    }

    func lineFailed(_ error: RedisError, _ part: UInt64, _ place: Int) {
        self.settleLine(of: part) { part in
            if error == .wrongType { part.damaged.insert(place) } else { part.failure = StoreFailure(error) }
        }
    }

    private func settleLine(of number: UInt64, _ note: (inout WaitingWrites.Part) -> Void) {
        let conversation = self.body.with { body in
            body.waiting.settleLine(of: number, note)
            return body.waiting[number]?.conversation
        }
        if let conversation { self.release(conversation) }
    }

    /// Sends what need not wait any longer, in order.
    private func release(_ conversation: ConversationKey) {
        while let deed = self.body.with({ self.sendNext(of: conversation, &$0) }) { self.decide(deed) }
    }

    private func sendNext(of conversation: ConversationKey, _ body: inout Body) -> UInt64? {
        guard let part = body.waiting.next(of: conversation), case .write(let batch) = body.deeds[part.deed]?.request else { return nil }
        body.deeds[part.deed]?.partsWaiting -= 1
        var failure = part.failure
        let writable = Array(part.writable)
        if failure == nil {
            for place in part.places.dropFirst(writable.count) { body.deeds[part.deed]?.refusals[place] = .damaged }
            do throws(RedisError) {
                if !writable.isEmpty { try self.send(batch, writable, for: part.deed, &body) }
            } catch {
                failure = StoreFailure(error)
            }
        }
        if let failure {
            // Whatever became of the lines, the writes behind them were not sent.
            let effect: StoreFailure.Effect = failure.effect == .rejected ? .rejected : .none
            let notSent = StoreFailure("Not written, because a list could not be written before it. \(failure)", effect: effect)
            for place in writable { body.deeds[part.deed]?.refusals[place] = .failed(notSent) }
        }
        return part.deed
    }
}
