import ChatModel
import EventLoop
import RedisClient

/// Whether replicas have what was written: where a master has any, nothing counts before one of them has it.
extension RedisStore {
    // MARK: Asking

    /// Right behind a write, and on the connection that carries it: WAIT is about what its own connection has written.
    ///
    /// Not before it is known that there is somebody to be waited for: where nobody is, each would hold up everything behind it.
    ///
    /// - Parameter connection: that has carried the write, when this is asked later.
    func requestConfirmation(
        _ deed: UInt64, _ slot: RedisSlot, over connection: RedisConnection? = nil,
        _ body: inout State
    ) throws(RedisError) {
        guard let wanted = self.requiredReplicas(slot, body) else {
            body.operations.deferConfirmation(
                deed, StoreOperation.UnconfirmedWrite(slot: slot, connection: connection))
            return
        }
        guard wanted > 0 else { return }
        try self.sendCommand(.confirm(deed, slot), slot, over: connection, &body) { command, _ in
            command.append("WAIT")
            command.append(wanted)
            command.append(self.settings.waitMilliseconds)
        }
    }

    func confirmIfReplicasKnown(_ number: UInt64, _ body: inout State) {
        guard let deed = body.operations[number],
            deed.unconfirmedWrites.allSatisfy({ self.requiredReplicas($0.slot, body) != nil })
        else { return }
        for part in body.operations.dequeueUnconfirmed(of: number)
        where (try? self.requestConfirmation(number, part.slot, over: part.connection, &body))
            == nil
        {
            body.operations.markUnconfirmed(number)
        }
    }

    /// Asked again for as long as there is patience: a replica may just be catching up.
    func confirmed(by count: Int, _ number: UInt64, _ slot: RedisSlot) {
        self.completeCommand(number) { deed, body in
            guard count < self.requiredReplicas(slot, body) ?? 1, deed.failure == nil else {
                return
            }
            // The slot may have another master by now, and that one knows nothing of what this connection has written.
            guard MonotonicTime.now < deed.deadline,
                let connection = body.client?.replyingConnection,
                (try? self.requestConfirmation(number, slot, over: connection, &body)) != nil
            else {
                deed.failure = .unconfirmed
                deed.isUnconfirmed = true
                return
            }
        }
    }

    /// A write that is to be confirmed later is confirmed over the connection that has carried it.
    func recordConnection(of deed: UInt64, _ slot: RedisSlot, _ body: inout State) {
        guard let unconfirmed = body.operations[deed]?.unconfirmedWrites, !unconfirmed.isEmpty,
            let connection = body.client?.replyingConnection
        else { return }
        for place in unconfirmed.indices where unconfirmed[place].slot == slot {
            body.operations[deed]?.unconfirmedWrites[place].connection = connection
        }
    }

    // MARK: Giving up

    /// Nobody will say any more whether replicas have what was written over a connection that is gone. What has not left yet will be
    /// written over the next.
    ///
    /// Not so in a cluster: it may be another master whose connection has changed, and each has a number of its own. There the connection is
    /// found to be gone when it is to be asked.
    func forgetReplicaCounts() {
        if self.settings.isCluster { return }
        self.failUnconfirmed { body in
            body.replicaMonitors = [:]
            return body.operations.awaitingReplicaCount.filter {
                body.operations[$0]?.pendingCommandCount == 0
            }
        }
    }

    /// Deeds whose time is over, and whose masters have not said whether they have replicas.
    func failOverdue(now: MonotonicTime) {
        guard self.loopState.with({ !$0.operations.awaitingReplicaCount.isEmpty }) else { return }
        self.failUnconfirmed { body in
            body.operations.awaitingReplicaCount.filter {
                body.operations[$0].map { $0.pendingCommandCount == 0 && now >= $0.deadline }
                    ?? true
            }
        }
    }

    private func failUnconfirmed(_ choose: (inout State) -> [UInt64]) {
        let done = self.loopState.with { body in
            let done = choose(&body)
            for deed in done { body.operations.markUnconfirmed(deed) }
            return done
        }
        for deed in done { self.advance(deed) }
    }

    // MARK: Who has replicas

    /// Nil while it is not known how many the slot's master has.
    func requiredReplicas(_ slot: RedisSlot, _ body: borrowing State) -> Int? {
        if let wanted = self.settings.waitReplicas { return wanted }
        guard let master = body.client?.masterID(of: slot) else { return nil }
        return body.replicaMonitors[master]?.requiredReplicas(
            now: .now, gracePeriod: self.settings.confirmationTimeout)
    }

    func waitsForReplicas(_ request: StoreRequest, _ body: borrowing State) -> Bool {
        switch request {
        case .claim(let shard, _, _):
            return self.requiredReplicas(self.settings.slot(of: shard), body) != 0
        case .write(let batch):
            for write in batch.writes
            where self.requiredReplicas(self.settings.slot(of: write.shard), body) != 0 {
                return true
            }
            return false
        case .numbers(_, let tenant), .nextNumber(let tenant):
            return self.requiredReplicas(
                self.settings.slot(of: body.arguments.key(of: .numbers(tenant))), body) != 0
        case .probe:
            return self.requiredReplicas(self.settings.slot(of: body.arguments.probeKey), body) != 0
        default: return false
        }
    }

    /// Once a second, each master: replicas come and go. One that is away is asked when it comes back.
    func queryRoles(now: MonotonicTime, _ body: inout State) {
        guard let client = body.client, body.isReady || self.settings.isCluster,
            self.settings.waitReplicas == nil, now >= body.nextRoleQueryAt
        else {
            return
        }
        body.nextRoleQueryAt = now.advanced(by: .seconds(1))
        for slot in client.masterSlots {
            guard let master = client.masterID(of: slot) else { continue }
            try? self.sendCommand(.role(master), slot, &body) { command, _ in command.append("ROLE")
            }
        }
    }

    func recordRole(of master: Int, _ replicaCount: Int?) {
        let undecided = self.loopState.with { body in
            body.replicaMonitors[master, default: ReplicaMonitor()].record(replicaCount, now: .now)
            return body.operations.awaitingReplicaCount
        }
        for deed in undecided { self.advance(deed) }
    }
}
