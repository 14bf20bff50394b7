import Bytes
import ChatModel
import EventLoop
import RedisClient

/// Redis Cluster: writes index entries first, then the writes that need them. If the process dies
/// in between, an entry without a conversation remains.
extension RedisStore {
    /// Defers the writes that need index entries, and all other writes of the batch to the same
    /// conversations; writes the entries.
    ///
    /// - Parameter positions: of writes in one shard.
    /// - Returns: the positions that need not wait.
    func deferWrites(
        _ positions: [Int], of batch: WriteBatch, for operationID: StoreOperationID,
        _ state: inout State
    )
        -> [Int]
    {
        let now = WallClock.now
        var entries: [Int: IndexEntry] = [:]
        var waiting: [(conversation: ConversationKey, positions: [Int])] = []
        for position in positions {
            let conversation = batch.writes[position].conversation
            entries[position] = IndexEntry(batch.writes[position], at: now)
            guard entries[position] != nil || state.deferredWrites.contains(conversation),
                !waiting.contains(where: { $0.conversation == conversation })
            else { continue }
            waiting.append((conversation, []))
        }
        if waiting.isEmpty { return positions }
        var free: [Int] = []
        for position in positions {
            let conversation = batch.writes[position].conversation
            if let part = waiting.firstIndex(where: { $0.conversation == conversation }) {
                waiting[part].positions.append(position)
            } else {
                free.append(position)
            }
        }
        for part in waiting {
            self.deferPart(part.conversation, part.positions, entries, for: operationID, &state)
        }
        return free
    }

    private func deferPart(
        _ conversation: ConversationKey, _ positions: [Int], _ entries: [Int: IndexEntry],
        for operationID: StoreOperationID, _ state: inout State
    ) {
        var part = DeferredWrites.DeferredPart(
            operation: operationID, conversation: conversation, positions: positions)
        part.pendingEntryCount = positions.count { entries[$0] != nil }
        let isEmpty = part.pendingEntryCount == 0
        let partID = state.deferredWrites.add(part)
        state.operations[operationID]?.deferredPartCount += 1
        for position in positions {
            guard let entry = entries[position] else { continue }
            let slot = self.settings.slot(of: state.arguments.key(of: entry.indexKey))
            do throws(RedisError) {
                try self.sendCommand(.entry(partID, position: position, slot), slot, &state) {
                    command, arguments in
                    arguments.appendCommand(for: entry, to: &command)
                }
            } catch {
                state.deferredWrites.completeEntry(of: partID) { $0.failure = StoreFailure(error) }
            }
        }
        // The answer must not come from within the request.
        if !isEmpty, state.deferredWrites[partID]?.pendingEntryCount == 0 {
            self.loop.execute { self.sendDeferred(conversation) }
        }
    }

    /// If the index's master has replicas, one of them must have the entry before a write relies on
    /// it.
    func entryWritten(_ partID: DeferredPartID, _ position: Int, _ slot: RedisSlot) {
        let isWritten: Bool? = self.loopState.with { state in
            if self.requiredReplicas(slot, state) == 0 { return true }
            guard let connection = state.client?.replyingConnection,
                self.confirmEntry(partID, position, slot, over: connection, &state)
            else {
                return false
            }
            return nil
        }
        self.resolveEntry(of: partID, isWritten)
    }

    func entryConfirmed(by count: Int, _ partID: DeferredPartID, _ position: Int, _ slot: RedisSlot)
    {
        let isWritten: Bool? = self.loopState.with { state in
            if count >= self.requiredReplicas(slot, state) ?? 1 { return true }
            guard let part = state.deferredWrites[partID],
                let operation = state.operations[part.operation],
                MonotonicTime.now < operation.deadline,
                let connection = state.client?.replyingConnection,
                self.confirmEntry(partID, position, slot, over: connection, &state)
            else { return false }
            return nil
        }
        self.resolveEntry(of: partID, isWritten)
    }

    /// - Parameter isWritten: nil while the confirmation is pending.
    private func resolveEntry(of partID: DeferredPartID, _ isWritten: Bool?) {
        guard let isWritten else { return }
        self.completeEntry(of: partID) { if !isWritten { $0.failure = .unconfirmed } }
    }

    /// - Returns: whether WAIT was sent.
    private func confirmEntry(
        _ partID: DeferredPartID, _ position: Int, _ slot: RedisSlot,
        over connection: RedisConnection,
        _ state: inout State
    ) -> Bool {
        let required = max(1, self.requiredReplicas(slot, state) ?? 1)
        do throws(RedisError) {
            try self.sendCommand(
                .confirmEntry(partID, position: position, slot), slot, over: connection, &state
            ) { command, _ in
                command.append("WAIT")
                command.append(required)
                command.append(self.settings.waitMilliseconds)
            }
            return true
        } catch {
            return false
        }
    }

    func entryFailed(_ error: RedisError, _ partID: DeferredPartID, _ position: Int) {
        self.completeEntry(of: partID) { part in
            if error == .wrongType {
                part.damaged.insert(position)
            } else {
                part.failure = StoreFailure(error)
            }
        }
    }

    private func completeEntry(
        of partID: DeferredPartID, _ update: (inout DeferredWrites.DeferredPart) -> Void
    ) {
        let conversation = self.loopState.with { state in
            state.deferredWrites.completeEntry(of: partID, update)
            return state.deferredWrites[partID]?.conversation
        }
        if let conversation { self.sendDeferred(conversation) }
    }

    /// Sends the conversation's parts that need not wait any longer, in order.
    private func sendDeferred(_ conversation: ConversationKey) {
        while let operationID = self.loopState.with({ self.sendNextDeferred(of: conversation, &$0) }
        ) {
            self.advance(operationID)
        }
    }

    private func sendNextDeferred(of conversation: ConversationKey, _ state: inout State)
        -> StoreOperationID?
    {
        guard let part = state.deferredWrites.removeNext(of: conversation),
            case .write(let batch) = state.operations[part.operation]?.request
        else { return nil }
        state.operations[part.operation]?.deferredPartCount -= 1
        var failure = part.failure
        let writable = Array(part.writable)
        if failure == nil {
            for position in part.positions.dropFirst(writable.count) {
                state.operations[part.operation]?.refusals[position] = .damaged
            }
            do throws(RedisError) {
                if !writable.isEmpty {
                    try self.sendWrites(batch, writable, for: part.operation, &state)
                }
            } catch {
                failure = StoreFailure(error)
            }
        }
        if let failure {
            // Whatever the outcome of the entries, the writes themselves were not sent.
            let effect: StoreFailure.Effect = failure.effect == .rejected ? .rejected : .none
            let notSent = StoreFailure(
                "Not written, because its index entry could not be written. \(failure)",
                effect: effect)
            for position in writable {
                state.operations[part.operation]?.refusals[position] = .failed(notSent)
            }
        }
        return part.operation
    }
}
