import ChatModel
import EventLoop
import RedisClient

/// Confirms writes with WAIT: if the master has replicas, a write counts only after one of them has
/// it.
extension RedisStore {
    // MARK: Requests

    /// Sends WAIT directly behind a write and on the same connection, because WAIT covers the
    /// writes of its own connection.
    ///
    /// It is deferred until the number of replicas is known: without replicas, a WAIT would only
    /// delay everything behind it.
    ///
    /// - Parameter connection: the connection that carried the write, for a deferred WAIT.
    func requestConfirmation(
        _ operationID: StoreOperationID, _ slot: RedisSlot, over connection: RedisConnection? = nil,
        _ state: inout State
    ) throws(RedisError) {
        guard let required = self.requiredReplicas(slot, state) else {
            state.operations.deferConfirmation(
                operationID, StoreOperation.UnconfirmedWrite(slot: slot, connection: connection))
            return
        }
        guard required > 0 else { return }
        try self.sendCommand(.confirm(operationID, slot), slot, over: connection, &state) {
            command, _ in
            command.append("WAIT")
            command.append(required)
            command.append(self.settings.waitMilliseconds)
        }
    }

    func confirmIfReplicasKnown(_ operationID: StoreOperationID, _ state: inout State) {
        guard let operation = state.operations[operationID],
            operation.unconfirmedWrites.allSatisfy({ self.requiredReplicas($0.slot, state) != nil })
        else { return }
        for write in state.operations.dequeueUnconfirmed(of: operationID)
        where
            (try? self.requestConfirmation(operationID, write.slot, over: write.connection, &state))
            == nil
        {
            state.operations.markUnconfirmed(operationID)
        }
    }

    /// Retries until the deadline, because a replica may still be catching up.
    func confirmed(by count: Int, _ operationID: StoreOperationID, _ slot: RedisSlot) {
        self.completeCommand(operationID) { operation, state in
            guard count < self.requiredReplicas(slot, state) ?? 1, operation.failure == nil else {
                return
            }
            // The slot may have moved to another master, which knows nothing of this connection's
            // writes.
            guard MonotonicTime.now < operation.deadline,
                let connection = state.client?.replyingConnection,
                (try? self.requestConfirmation(operationID, slot, over: connection, &state)) != nil
            else {
                operation.failure = .unconfirmed
                operation.isUnconfirmed = true
                return
            }
        }
    }

    /// Records the connection that carried a write, because its deferred WAIT must use the same
    /// one.
    func recordConnection(of operationID: StoreOperationID, _ slot: RedisSlot, _ state: inout State)
    {
        guard let unconfirmed = state.operations[operationID]?.unconfirmedWrites,
            !unconfirmed.isEmpty,
            let connection = state.client?.replyingConnection
        else { return }
        for index in unconfirmed.indices where unconfirmed[index].slot == slot {
            state.operations[operationID]?.unconfirmedWrites[index].connection = connection
        }
    }

    // MARK: Timeouts

    /// Fails answered writes on a lost connection: no replica will confirm them. Writes that were
    /// not sent yet use the next connection.
    ///
    /// A cluster does nothing here: another master's connection may have changed, and each master
    /// has its own id. There, sending the WAIT fails if the connection is lost.
    func forgetReplicaCounts() {
        if self.settings.isRedisCluster { return }
        self.failUnconfirmed { state in
            state.replicaMonitors = [:]
            return state.operations.awaitingReplicaCount.filter {
                state.operations[$0]?.pendingCommandCount == 0
            }
        }
    }

    /// Fails operations past their deadline whose master has not reported its replicas.
    func failOverdue(now: MonotonicTime) {
        guard self.loopState.with({ !$0.operations.awaitingReplicaCount.isEmpty }) else { return }
        self.failUnconfirmed { state in
            state.operations.awaitingReplicaCount.filter {
                state.operations[$0].map { $0.pendingCommandCount == 0 && now >= $0.deadline }
                    ?? true
            }
        }
    }

    private func failUnconfirmed(_ select: (inout State) -> [StoreOperationID]) {
        let failed = self.loopState.with { state in
            let failed = select(&state)
            for operationID in failed { state.operations.markUnconfirmed(operationID) }
            return failed
        }
        for operationID in failed { self.advance(operationID) }
    }

    // MARK: Replicas

    /// Nil while the number of the master's replicas is unknown.
    func requiredReplicas(_ slot: RedisSlot, _ state: borrowing State) -> Int? {
        if let required = self.settings.waitReplicas { return required }
        guard let master = state.client?.masterID(of: slot) else { return nil }
        return state.replicaMonitors[master]?.requiredReplicas(
            now: .now, gracePeriod: self.settings.confirmationTimeout)
    }

    func waitsForReplicas(_ request: StoreRequest, _ state: borrowing State) -> Bool {
        switch request {
        case .claim(let shard, _, _):
            return self.requiredReplicas(self.settings.slot(of: shard), state) != 0
        case .write(let batch):
            for write in batch.writes
            where self.requiredReplicas(self.settings.slot(of: write.shard), state) != 0 {
                return true
            }
            return false
        case .numbers(_, let tenant), .nextNumber(let tenant):
            return self.requiredReplicas(
                self.settings.slot(of: state.arguments.key(of: .numbers(tenant))), state) != 0
        case .probe:
            return self.requiredReplicas(self.settings.slot(of: state.arguments.probeKey), state)
                != 0
        default: return false
        }
    }

    /// Queries each master once a second, because replicas come and go. An unavailable master is
    /// queried when it returns.
    func queryRoles(now: MonotonicTime, _ state: inout State) {
        guard let client = state.client, state.isReady || self.settings.isRedisCluster,
            self.settings.waitReplicas == nil, now >= state.nextRoleQueryAt
        else {
            return
        }
        state.nextRoleQueryAt = now.advanced(by: .seconds(1))
        for slot in client.masterSlots {
            guard let master = client.masterID(of: slot) else { continue }
            try? self.sendCommand(.role(master), slot, &state) { command, _ in
                command.append("ROLE")
            }
        }
    }

    func recordRole(of master: Int, _ replicaCount: Int?) {
        let waiting = self.loopState.with { state in
            state.replicaMonitors[master, default: ReplicaMonitor()].record(replicaCount, now: .now)
            return state.operations.awaitingReplicaCount
        }
        for operationID in waiting { self.advance(operationID) }
    }
}
