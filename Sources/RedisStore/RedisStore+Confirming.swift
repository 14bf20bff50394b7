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
    func confirm(_ deed: UInt64, _ slot: RedisSlot, over connection: RedisConnection? = nil, _ body: inout Body) throws(RedisError) {
        guard let wanted = self.replicasWanted(slot, body) else {
            body.deeds.confirmLater(deed, StoreDeed.Unconfirmed(slot: slot, connection: connection))
            return
        }
        guard wanted > 0 else { return }
        try self.call(.confirm(deed, slot), slot, over: connection, &body) { command, _ in
            command.append("WAIT")
            command.append(wanted)
            command.append(self.settings.waitMilliseconds)
        }
    }

    func confirmIfDecided(_ number: UInt64, _ body: inout Body) {
        guard let deed = body.deeds[number], deed.unconfirmed.allSatisfy({ self.replicasWanted($0.slot, body) != nil }) else { return }
        for part in body.deeds.takeUnconfirmed(of: number)
        where (try? self.confirm(number, part.slot, over: part.connection, &body)) == nil {
            body.deeds.giveUp(number)
        }
    }

    /// Asked again for as long as there is patience: a replica may just be catching up.
    func confirmed(by count: Int, _ number: UInt64, _ slot: RedisSlot) {
        self.settle(number) { deed, body in
            guard count < self.replicasWanted(slot, body) ?? 1, deed.failure == nil else { return }
            // The slot may have another master by now, and that one knows nothing of what this connection has written.
            guard MonotonicTime.now < deed.deadline, let connection = body.client?.answering,
                (try? self.confirm(number, slot, over: connection, &body)) != nil
            else {
                deed.failure = .unconfirmed
                deed.isUnconfirmed = true
                return
            }
        }
    }

    /// A write that is to be confirmed later is confirmed over the connection that has carried it.
    func noteCarrier(of deed: UInt64, _ slot: RedisSlot, _ body: inout Body) {
        guard let unconfirmed = body.deeds[deed]?.unconfirmed, !unconfirmed.isEmpty, let connection = body.client?.answering else { return }
        for place in unconfirmed.indices where unconfirmed[place].slot == slot {
            body.deeds[deed]?.unconfirmed[place].connection = connection
        }
    }

    // MARK: Giving up

    /// Nobody will say any more whether replicas have what was written over a connection that is gone. What has not left yet will be
    /// written over the next.
    ///
    /// Not so in a cluster: it may be another master whose connection has changed, and each has a number of its own. There the connection is
    /// found to be gone when it is to be asked.
    func forgetRole() {
        if self.settings.isCluster { return }
        self.giveUp { body in
            body.replicas = [:]
            return body.deeds.undecided.filter { body.deeds[$0]?.commandsUnderWay == 0 }
        }
    }

    /// Deeds whose time is over, and whose masters have not said whether they have replicas.
    func giveUpOverdue(now: MonotonicTime) {
        guard self.body.with({ !$0.deeds.undecided.isEmpty }) else { return }
        self.giveUp { body in
            body.deeds.undecided.filter { body.deeds[$0].map { $0.commandsUnderWay == 0 && now >= $0.deadline } ?? true }
        }
    }

    private func giveUp(_ choose: (inout Body) -> [UInt64]) {
        let done = self.body.with { body in
            let done = choose(&body)
            for deed in done { body.deeds.giveUp(deed) }
            return done
        }
        for deed in done { self.decide(deed) }
    }

    // MARK: Who has replicas

    /// Nil while it is not known how many the slot's master has.
    func replicasWanted(_ slot: RedisSlot, _ body: borrowing Body) -> Int? {
        if let wanted = self.settings.waitReplicas { return wanted }
        guard let master = body.client?.master(of: slot) else { return nil }
        return body.replicas[master]?.wanted(now: .now, patience: self.settings.patience)
    }

    func waitsForReplicas(_ request: StoreRequest, _ body: borrowing Body) -> Bool {
        switch request {
        case .claim(let shard, _, _): return self.replicasWanted(self.settings.slot(of: shard), body) != 0
        case .write(let batch):
            for write in batch.writes where self.replicasWanted(self.settings.slot(of: write.shard), body) != 0 { return true }
            return false
        case .numbers(_, let tenant), .nextNumber(let tenant):
            return self.replicasWanted(self.settings.slot(of: body.words.name(of: .numbers(tenant))), body) != 0
        case .probe: return self.replicasWanted(self.settings.slot(of: body.words.probeName), body) != 0
        default: return false
        }
    }

    /// Once a second, each master: replicas come and go. One that is away is asked when it comes back.
    func askRole(now: MonotonicTime, _ body: inout Body) {
        guard let client = body.client, body.isReady || self.settings.isCluster, self.settings.waitReplicas == nil, now >= body.askRoleAt
        else {
            return
        }
        body.askRoleAt = now.advanced(by: .seconds(1))
        for slot in client.masters {
            guard let master = client.master(of: slot) else { continue }
            try? self.call(.role(master), slot, &body) { command, _ in command.append("ROLE") }
        }
    }

    func learnRole(of master: Int, _ replicaCount: Int?) {
        let undecided = self.body.with { body in
            body.replicas[master, default: ReplicaWatch()].note(replicaCount, now: .now)
            return body.deeds.undecided
        }
        for deed in undecided { self.decide(deed) }
    }
}
