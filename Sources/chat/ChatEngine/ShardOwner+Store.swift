import Bytes
import ChatCore
import ChatModel
import Cluster

/// An owner's requests to the store, and their answers.
extension ShardOwner {
    mutating func load(_ number: UInt32, output: inout LoopOutput) {
        let shard = Int(self.slots[number].shard)
        let continuation = self.continuation(for: number)
        switch self.shards[shard] {
        case .held(let epoch):
            self.slots[number].epoch = epoch
            self.pendingRequests[output.submit(.load(self.slots[number].key))] = .load(
                continuation)
        case .claiming(let waiting):
            self.shards[shard] = .claiming(waiting + [continuation])
        case nil:
            self.shards[shard] = .claiming([continuation])
            self.pendingRequests[
                output.submit(.claim(shard: shard, owner: self.id, view: self.view.number))] =
                .claim(shard: shard)
        }
    }

    /// Handles a store answer.
    ///
    /// - Returns: whether the request was this owner's.
    mutating func storeAnswered(
        _ answer: StoreAnswer, ticket: StoreTicket, at now: ClockReading, output: inout LoopOutput
    ) -> Bool {
        guard let purpose = self.pendingRequests.removeValue(forKey: ticket) else { return false }
        switch (purpose, answer) {
        case (.write(let writes, let contexts), .written(let outcome)):
            self.writesInFlight -= writes.count
            self.applyWriteOutcome(writes, contexts, outcome, at: now, output: &output)
        case (.write(let writes, let contexts), _):
            self.writesInFlight -= writes.count
            self.recordFailedWrite(answer.writeEffect, at: now)
            self.batchFailed(writes, contexts, answer.writeEffect, at: now, output: &output)
        case (.formerWrite(let writes), .written(let outcome)):
            for index in writes.indices where outcome.isStored(index) {
                self.retain(writes[index], at: now)
            }
        case (.formerWrite, _): break
        case (.claim(let shard), .claimed(let epoch)):
            guard case .claiming(let waiting) = self.shards[shard] else { break }
            self.shards[shard] = .held(epoch)
            for continuation in waiting where self.isCurrent(continuation) {
                self.load(continuation.conversation.slot, output: &output)
            }
        case (.claim(let shard), _):
            // If a later view is stored, the store works; this node has not followed that view yet.
            if case .outdated = answer {} else { self.recordFailedRead(answer, at: now) }
            guard case .claiming(let waiting) = self.shards.removeValue(forKey: shard) else {
                break
            }
            for continuation in waiting where self.isCurrent(continuation) {
                self.abandon(
                    continuation.conversation.slot, because: answer.chatError, at: now,
                    output: &output)
            }
        case (.load(let continuation), .loaded(let loaded)):
            guard self.isCurrent(continuation) else { break }
            self.update(continuation.conversation.slot, at: now, output: &output) {
                $0.loaded(loaded, at: now, into: &$1)
            }
        case (.loadRecents(let continuation), .recent(let messages)):
            guard self.isCurrent(continuation) else { break }
            self.update(continuation.conversation.slot, at: now, output: &output) {
                $0.loadedRecents(messages, at: now, into: &$1)
            }
        case (.readHistory(let continuation), .page(let page)):
            guard self.isCurrent(continuation) else { break }
            self.update(continuation.conversation.slot, at: now, output: &output) {
                $0.reconcile(page, at: now, into: &$1)
            }
        case (.load(let continuation), _), (.loadRecents(let continuation), _),
            (.readHistory(let continuation), _):
            self.recordFailedRead(answer, at: now)
            if self.isCurrent(continuation) {
                self.abandon(
                    continuation.conversation.slot, because: answer.chatError, at: now,
                    output: &output)
            }
        case (.lookUp(let continuation, let sequence), _):
            self.applyLookup(answer, continuation, sequence, at: now, output: &output)
        }
        return true
    }

    /// Backs off all reads, unless the failure concerns only one conversation or shard.
    private mutating func recordFailedRead(_ answer: StoreAnswer, at now: ClockReading) {
        if !answer.isOfOneConversation {
            self.readsUnavailableUntil = now.monotonic + Self.storeBackoff
            self.unavailability = answer.chatError
        }
    }

    /// Backs off all writes.
    private mutating func recordFailedWrite(_ effect: StoreFailure.Effect, at now: ClockReading) {
        self.writesUnavailableUntil = now.monotonic + Self.storeBackoff
        self.unavailability = effect == .rejected ? .rejected : .unavailable
    }

    /// Handles a batch that failed or whose outcome is unknown. In the latter case its shards are
    /// claimed again before they are read, so that the new epoch rejects writes that are still in
    /// transit.
    private mutating func batchFailed(
        _ writes: [Write], _ contexts: [WriteContext], _ effect: StoreFailure.Effect,
        at now: ClockReading, output: inout LoopOutput
    ) {
        if effect != .unknown {
            for index in writes.indices { self.stopRetaining(writes[index], contexts[index]) }
        }
        for index in writes.indices {
            self.applyNotStored(
                writes[index], contexts[index], because: effect.chatError, at: now, output: &output)
        }
        guard effect == .unknown else { return }
        // Cursors may be written twice.
        self.reclaim(
            Set(writes.lazy.filter { $0.revision > 0 }.map(\.shard)), at: now, output: &output)
    }

    /// Claims shards again before their conversations are loaded, because the store may still
    /// execute one of their writes. The new epoch then rejects it.
    private mutating func reclaim(
        _ shards: Set<Int>, at now: ClockReading, output: inout LoopOutput
    ) {
        let held = shards.filter { if case .held? = self.shards[$0] { true } else { false } }
        guard !held.isEmpty else { return }
        for shard in held { self.shards[shard] = nil }
        for number in self.slots.occupiedSlots where held.contains(Int(self.slots[number].shard)) {
            self.update(number, at: now, output: &output) { $1.append(.invalidate) }
        }
    }

    /// Claims the shards of all conversations with writes in flight again.
    mutating func reclaimWhereWritesAreInFlight(at now: ClockReading, output: inout LoopOutput) {
        var shards: Set<Int> = []
        for number in self.slots.occupiedSlots
        where self.slots[number].conversation.hasWritesInFlight {
            shards.insert(Int(self.slots[number].shard))
        }
        self.reclaim(shards, at: now, output: &output)
    }

    /// Discards the stored state of a conversation and loads it again.
    ///
    /// If it has writes in flight, its shard is claimed first, because the load may overtake them,
    /// for example while Redis Cluster moves a slot.
    mutating func invalidate(
        _ number: UInt32, at now: ClockReading, into effects: inout [ConversationEffect],
        output: inout LoopOutput
    ) {
        let shard = Int(self.slots[number].shard)
        if self.slots[number].conversation.hasWritesInFlight, case .held? = self.shards[shard] {
            return self.reclaim([shard], at: now, output: &output)
        }
        self.slots[number].loadTerm &+= 1
        self.slots[number].conversation.abandon(at: now, into: &effects)
        self.slots[number].conversation.reload(into: &effects)
    }

    private mutating func stopRetaining(_ write: Write, _ context: WriteContext) {
        guard self.isCurrent(context.continuation.conversation) else { return }
        self.slots[context.continuation.conversation.slot].conversation.discardRefused(
            write.change, write.revision)
    }

    private mutating func applyLookup(
        _ answer: StoreAnswer, _ continuation: StoreContinuation, _ sequence: SequenceNumber,
        at now: ClockReading, output: inout LoopOutput
    ) {
        guard self.isCurrent(continuation) else { return }
        self.update(continuation.conversation.slot, at: now, output: &output) {
            conversation, effects in
            if case .page(let page) = answer {
                let message = page.messages.first { $0.sequence == sequence }
                let isThread =
                    page.messages.last?.body.annotations?.reply?.thread == sequence
                conversation.lookedUp(
                    message, head: page.head, sequence: sequence, isThread: isThread, at: now,
                    into: &effects)
            } else {
                conversation.lookupFailed(
                    sequence: sequence,
                    because: answer.writeEffect == .rejected ? .rejected : .unavailable,
                    into: &effects)
            }
        }
    }

    private mutating func applyWriteOutcome(
        _ writes: [Write], _ contexts: [WriteContext], _ outcome: WriteOutcome,
        at now: ClockReading,
        output: inout LoopOutput
    ) {
        switch outcome {
        case .stored:
            // The buffer lends its elements; the array would hand out copies.
            writes.withUnsafeBufferPointer { writes in
                for index in writes.indices {
                    if index % ChatLoop.prefetchBatch == 0, writes.count > 1 {
                        self.prefetch(contexts, from: index)
                    }
                    if !contexts[index].alreadyNotified.isEmpty {
                        self.alreadyNotified = (
                            writes[index].revision, contexts[index].alreadyNotified
                        )
                    }
                    self.applyStored(writes[index], contexts[index], at: now, output: &output)
                    self.alreadyNotified = (0, LoopSet())
                }
            }
        case .refused(let refusals):
            for (index, refusal) in refusals where refusal.chatError != .outcomeUnknown {
                self.stopRetaining(writes[index], contexts[index])
            }
            for index in writes.indices {
                guard let refusal = refusals[index] else {
                    self.applyStored(writes[index], contexts[index], at: now, output: &output)
                    continue
                }
                let isCurrent = self.isCurrent(contexts[index].continuation)
                self.applyNotStored(
                    writes[index], contexts[index], because: refusal.chatError, at: now,
                    output: &output)
                switch refusal {
                case .fenced, .unconfirmed:
                    if isCurrent { self.loseShard(writes[index].shard, at: now, output: &output) }
                case .failed(let failure):
                    self.recordFailedWrite(failure.effect, at: now)
                    if failure.effect == .unknown, writes[index].revision > 0 {
                        self.reclaim([writes[index].shard], at: now, output: &output)
                    }
                case .revisionMismatch, .damaged: break
                }
            }
        }
    }

    /// Prefetches the memory that the next answers need, as `ChatLoop` does for items.
    private mutating func prefetch(_ contexts: [WriteContext], from first: Int) {
        contexts.withUnsafeBufferPointer { contexts in
            let next = first..<min(first + ChatLoop.prefetchBatch, contexts.count)
            for index in next { self.prefetch(contexts[index].continuation.conversation.slot) }
            for index in next {
                self.prefetchConversation(contexts[index].continuation.conversation.slot)
            }
        }
    }

    private mutating func applyStored(
        _ write: Write, _ context: WriteContext, at now: ClockReading, output: inout LoopOutput
    ) {
        if case .message(let message) = write.change {
            output.trace.record(.stored, in: write.conversation.hash, sequence: message.sequence)
        }
        guard self.isCurrent(context.continuation) else {
            // The conversation was reloaded, but the write was stored. Subscribers receive it when
            // they attach again. A store that can lose data may have lost it, so the requester
            // retries.
            if self.limits.retention > .zero { return self.retain(write, at: now) }
            guard let origin = context.origin, origin.request != 0 else { return }
            switch write.change {
            case .message(let message):
                output.send(
                    .answer(
                        origin.request, .posted(message),
                        slot: context.continuation.conversation.slot
                    ), to: origin.loop)
            default:
                break
            }
            return
        }
        self.update(context.continuation.conversation.slot, at: now, output: &output) {
            $0.stored(
                write.change, revision: write.revision, origin: context.origin, at: now, into: &$1)
        }
    }

    private mutating func applyNotStored(
        _ write: Write, _ context: WriteContext, because cause: ChatError, at now: ClockReading,
        output: inout LoopOutput
    ) {
        if case .message(let message) = write.change {
            output.trace.record(.notStored, in: write.conversation.hash, sequence: message.sequence)
        }
        if let origin = context.origin {
            self.refuse(
                origin, because: cause, slot: context.continuation.conversation.slot,
                output: &output)
        }
        if case .cursors(let user, let read, _) = write.change {
            guard self.isCurrent(context.continuation.conversation) else { return }
            self.update(context.continuation.conversation.slot, at: now, output: &output) {
                conversation, effects in
                conversation.cursorsFailed(
                    of: user, read: read, because: cause, at: now, into: &effects)
            }
        } else if self.isCurrent(context.continuation) {
            self.slots[context.continuation.conversation.slot].loadTerm &+= 1
            self.update(context.continuation.conversation.slot, at: now, output: &output) {
                $0.writeFailed(because: cause, at: now, into: &$1)
            }
        }
    }

    private func refuse(
        _ origin: RequestOrigin, because cause: ChatError = .unavailable, slot index: UInt32,
        output: inout LoopOutput
    ) {
        if origin.request != 0 {
            output.send(.answer(origin.request, .failed(cause), slot: index), to: origin.loop)
        }
    }

    /// Discards the stored state of a conversation. The next request loads it again.
    mutating func abandon(
        _ number: UInt32, because cause: ChatError = .unavailable, at now: ClockReading,
        output: inout LoopOutput
    ) {
        self.slots[number].loadTerm &+= 1
        self.update(number, at: now, output: &output) {
            $0.abandon(because: cause, at: now, into: &$1)
        }
    }

    /// Calls `abandon` for all conversations and drops all claims. The next claim finds out whether
    /// another node claimed the shard under a later view.
    mutating func abandonAll(at now: ClockReading, output: inout LoopOutput) {
        self.shards = self.shards.filter { if case .claiming = $0.value { true } else { false } }
        for number in self.slots.occupiedSlots {
            self.abandon(number, at: now, output: &output)
        }
    }

    /// Drops the claim of a shard, because another owner claimed it or the store lost the claim.
    /// The next request claims it again.
    ///
    /// If the store can lose data, the written changes stay retained, and are compared with the
    /// store after the next claim.
    private mutating func loseShard(_ shard: Int, at now: ClockReading, output: inout LoopOutput) {
        guard self.shards.removeValue(forKey: shard) != nil else { return }
        for number in self.slots.occupiedSlots
        where self.slots[number].shard == Int32(shard) {
            if self.limits.retention > .zero {
                self.update(number, at: now, output: &output) { $1.append(.invalidate) }
            } else {
                self.handOver(number, at: now, output: &output)
            }
        }
    }
}

extension WriteRefusal {
    /// The error for the sender of the write.
    fileprivate var chatError: ChatError {
        switch self {
        case .fenced, .revisionMismatch: .unavailable
        case .unconfirmed: .outcomeUnknown
        case .damaged: .damaged
        case .failed(let failure): failure.effect.chatError
        }
    }
}

extension StoreFailure.Effect {
    /// The error for the sender of the write.
    fileprivate var chatError: ChatError {
        switch self {
        case .none: .unavailable
        case .rejected: .rejected
        case .unknown: .outcomeUnknown
        }
    }
}

extension StoreAnswer {
    /// The effect on the writes of a request with this answer, and on those that need it first.
    fileprivate var writeEffect: StoreFailure.Effect {
        if case .failed(let failure) = self { failure.effect } else { .unknown }
    }

    /// Whether it is a failure that says nothing about other conversations.
    var isOfOneConversation: Bool {
        if case .failed(let failure) = self { failure.isRequestSpecific } else { false }
    }

    /// The error for requests that waited for another answer than a failure.
    fileprivate var chatError: ChatError {
        if self.isOfOneConversation { return .damaged }
        return self.writeEffect == .rejected ? .rejected : .unavailable
    }
}
