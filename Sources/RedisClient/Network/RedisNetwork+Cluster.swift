internal import Bytes
internal import EventLoop

/// The masters of a cluster, a link to each, and one more that asks where the slots are.
extension RedisNetwork {
    // MARK: Where the slots are

    /// Asks for the slots again, now and then or because something does not fit; sees to the links and to what waits.
    mutating func tickCluster(now: MonotonicTime) {
        self.querySlotsIfDue(now: now)
        self.reconcileLinks(now: now)
        self.expireQueued(now: now)
        self.retryQueued(now: now)
    }

    private func isHealthy(now: MonotonicTime) -> Bool {
        self.routes.isReady && self.routes.map.isComplete && self.routes.retryQueue.isEmpty
            && !self.servers.contains {
                $0.session.pendingReplyAge(now: now) > ClusterRoutes.suspectAfter
            }
    }

    private mutating func querySlotsIfDue(now: MonotonicTime) {
        let isWell = self.isHealthy(now: now)
        if !isWell {
            self.routes.nextQueryAt = min(
                self.routes.nextQueryAt, now.advanced(by: ClusterRoutes.recoveryQueryInterval))
        }
        guard self.discoveryLinks[0].session.isReady else { return }
        if let askedAt = self.routes.queriedAt {
            if now.since(askedAt) > ClusterRoutes.probeTimeout { self.moveTopologyProbe(now: now) }
            return
        }
        guard now >= self.routes.nextQueryAt else { return }
        // One node may be cut off from the others and not know it.
        if !isWell, now.since(self.routes.probeMovedAt) > ClusterRoutes.probeTimeout {
            self.moveTopologyProbe(now: now)
            return
        }
        self.sendClusterSlots(now: now)
    }

    private mutating func sendClusterSlots(now: MonotonicTime) {
        self.routes.queriedAt = now
        self.routes.nextQueryAt = now.advanced(by: ClusterRoutes.routineQueryInterval)
        self.discoveryLinks[0].session.send("CLUSTER", ["SLOTS"])
    }

    /// To the next of those that may know: what the URL names, masters, replicas. Answers whether all have had their turn.
    @discardableResult
    private mutating func moveTopologyProbe(now: MonotonicTime) -> Bool {
        var places = self.settings.url.endpoints
        for place in self.routes.map.masters + self.routes.map.replicas
        where !places.contains(place) { places.append(place) }
        self.routes.probeEndpointIndex = (self.routes.probeEndpointIndex + 1) % places.count
        self.routes.probeMovedAt = now
        self.routes.queriedAt = nil
        self.needsAnotherPass = true
        let isRound = self.routes.probeEndpointIndex == 0
        self.discoveryLinks[0].changeEndpoint(
            to: places[self.routes.probeEndpointIndex],
            because: .broken(reason: "another node is asked"), now: now, immediately: !isRound)
        return isRound
    }

    mutating func handleTopologyProbeEvent(_ event: RedisSession.Event, now: MonotonicTime) {
        switch event {
        case .ready:
            self.routes.probeMovedAt = now
            self.sendClusterSlots(now: now)
        case .push(let reply): self.receiveSlots(reply, now: now)
        case .unavailable(let outage):
            // Its own doing, when it moves on.
            guard outage != .broken(reason: "another node is asked") else { return }
            if self.moveTopologyProbe(now: now), self.routes.map.isEmpty {
                self.routes.mapOutage = .noClusterNode(reason: outage.description)
            }
        case .reply, .failed, .notExecuted: break
        }
    }

    private mutating func receiveSlots(_ reply: RedisReply, now: MonotonicTime) {
        guard self.routes.queriedAt != nil, let place = self.discoveryLinks[0].endpoint,
            let map = SlotMap(reply, from: place)
        else { return }
        self.routes.queriedAt = nil
        guard !map.isEmpty else {
            if self.routes.map.isEmpty { self.routes.mapOutage = .refused(.clusterDown) }
            return
        }
        self.apply(map, now: now)
    }

    private mutating func apply(_ map: SlotMap, now: MonotonicTime) {
        if Set(map.masters) != Set(self.routes.map.masters) { self.routes.mustReportReady = true }
        self.routes.map = map
        self.routes.mapOutage = nil
        self.reconcileLinks(now: now)
        self.retryQueued(now: now)
    }

    // MARK: Links

    private func serverIndex(at place: RedisEndpoint) -> Int? {
        self.servers.firstIndex { $0.endpoint == place }
    }

    /// By a master's place in the map, whether there is to be a connection to it: for commands to all, for channels to those that have any.
    private func isNeeded(_ master: Int) -> Bool {
        self.mode == .commands
            || self.subscriptions.channels.contains { self.routes.map.owner(of: $0.slot) == master }
    }

    /// Makes the links what the map wants, and the subscriptions what the links are.
    mutating func reconcileLinks(now: MonotonicTime) {
        guard !self.routes.isClosed else { return }
        for (master, place) in self.routes.map.masters.enumerated()
        where self.isNeeded(master) && self.serverIndex(at: place) == nil {
            self.servers.append(self.makeClusterLink(to: place))
        }
        var needed: Set<Int> = []
        for (master, place) in self.routes.map.masters.enumerated() where self.isNeeded(master) {
            if let server = self.serverIndex(at: place) { needed.insert(self.servers[server].id) }
        }
        for server in self.servers.indices.reversed() {
            let number = self.servers[server].id
            if needed.contains(number) {
                self.routes.unusedSince[number] = nil
            } else {
                let since = self.routes.unusedSince[number] ?? now
                self.routes.unusedSince[number] = since
                self.retire(server, since: since, now: now)
            }
        }
        self.routes.serverIndexes = self.routes.map.masters.map { self.serverIndex(at: $0) }
        self.subscribeAtSlotOwners()
    }

    /// Lets go of a server that is no master any more: not before it has answered what it was given, unless that takes long.
    private mutating func retire(_ server: Int, since: MonotonicTime, now: MonotonicTime) {
        let number = self.servers[server].id
        let isLate = now.since(since) > ClusterRoutes.formerMasterGrace
        if isLate || self.routes.linkOutages[number] != nil {
            // What was never sent can be sent elsewhere.
            let parcels = self.servers[server].session.withdrawWaiting()
            self.routes.retryQueue.append(contentsOf: parcels)
            self.needsAnotherPass = self.needsAnotherPass || !parcels.isEmpty
        }
        if self.servers[server].session.commandCount > 0 {
            if isLate {
                self.servers[server].session.disconnect(
                    .broken(reason: "the server is no master any more"), now: now)
            }
            self.needsAnotherPass = true
            return
        }
        // A link that was made because a slot is on the move is used again in a moment.
        guard isLate || self.mode == .subscription || self.routes.linkOutages[number] != nil else {
            return
        }
        self.subscriptions.markUnsubscribed(link: number)
        self.servers[server].close()
        self.servers.remove(at: server)
        self.needsAnotherPass = true
        self.routes.linkOutages[number] = nil
        self.routes.unusedSince[number] = nil
    }

    // MARK: Commands

    /// Where commands of a slot go; nil while nobody has it.
    private func clusterServerIndex(for slot: RedisSlot) -> Int? {
        if let master = self.routes.map.owner(of: slot) { return self.routes.serverIndexes[master] }
        guard slot == .any else { return nil }
        var best: Int?
        for case .some(let server) in self.routes.serverIndexes {
            if self.servers[server].session.isReady { return server }
            best = best ?? server
        }
        return best
    }

    private func serverIndex(_ slot: RedisSlot) -> Int? {
        self.isCluster ? self.clusterServerIndex(for: slot) : 0
    }

    func endpoint(of slot: RedisSlot) -> RedisEndpoint? {
        self.serverIndex(slot).flatMap { self.servers[$0].endpoint }
    }

    func masterID(of slot: RedisSlot) -> Int? { self.serverIndex(slot).map { self.servers[$0].id } }

    mutating func clusterCommand(
        tag: UInt64, slot: RedisSlot, now: MonotonicTime,
        _ write: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        if self.routes.isClosed { throw .closed }
        if !self.routes.retryQueue.contains(slot), let server = self.clusterServerIndex(for: slot) {
            return try self.servers[server].session.command(tag: tag, slot: slot, now: now, write)
        }
        var written = SendBuffer()
        guard self.routes.retryQueue.count < self.settings.commandLimit,
            written.write(
                byteLimit: self.settings.unsentByteLimit - self.routes.retryQueue.byteCount, write)
        else { throw .queueFull }
        let bytes = Array(written.bytes(0..<written.end))
        self.routes.retryQueue.append(
            QueuedCommand(
                tag: tag, slot: slot, isWait: QueuedCommand.isWait(bytes), bytes: bytes,
                writtenAt: now))
    }

    /// Gives what waits to the servers that have its slots now.
    private mutating func retryQueued(now: MonotonicTime) {
        guard !self.routes.retryQueue.isEmpty else { return }
        for parcel in self.routes.retryQueue.drain() {
            // Nothing of a slot goes before what waits for the same.
            if now >= parcel.retryAt, !self.routes.retryQueue.contains(parcel.slot),
                let server = self.clusterServerIndex(for: parcel.slot)
            {
                self.servers[server].session.enqueue(parcel, asking: false, now: now)
            } else {
                self.routes.retryQueue.append(parcel)
            }
        }
    }

    private mutating func expireQueued(now: MonotonicTime) {
        let limit = now.advanced(by: .zero - self.settings.commandTimeout)
        guard self.routes.retryQueue.commands.contains(where: { $0.writtenAt <= limit }) else {
            return
        }
        for parcel in self.routes.retryQueue.drain() {
            if parcel.writtenAt > limit {
                self.routes.retryQueue.append(parcel)
            } else {
                self.routes.fail(
                    [parcel],
                    parcel.retries > 0
                        ? .tryAgain : self.routes.map.isEmpty ? .noConnection : .clusterDown)
            }
        }
    }

    /// - Parameter server: that has not done the first of them; it answers the others, which are WAITs, as if it had.
    private mutating func redirect(
        _ parcels: [QueuedCommand], _ error: RedisError, from server: Int, now: MonotonicTime
    ) {
        guard let first = parcels.first else { return }
        var parcels = parcels
        switch Redirection(error, of: first, host: self.servers[server].endpoint?.host ?? "") {
        case .fail:
            self.routes.fail(parcels, error)
        case .retryLater:
            for place in parcels.indices {
                parcels[place].retries += 1
                parcels[place].retryAt = now.advanced(by: Redirection.retryDelay)
            }
            self.routes.retryQueue.append(contentsOf: parcels)
        case .send(let place, let asking):
            let target = self.serverIndex(at: place) ?? self.servers.count
            if target == self.servers.count { self.servers.append(self.makeClusterLink(to: place)) }
            // While commands still come this way it is not idle.
            let number = self.servers[target].id
            if self.routes.unusedSince[number] != nil { self.routes.unusedSince[number] = now }
            for (number, var parcel) in parcels.enumerated() {
                parcel.redirects += 1
                self.servers[target].session.enqueue(
                    parcel, asking: asking && number == 0, now: now)
            }
        }
        self.needsAnotherPass = true
    }

    // MARK: Channels

    private mutating func subscribeAtSlotOwners() {
        for place in self.subscriptions.channels.indices {
            let channel = self.subscriptions.channels[place]
            guard let server = self.clusterServerIndex(for: channel.slot),
                self.servers[server].session.isReady,
                self.servers[server].id != channel.linkID
            else { continue }
            for old in self.servers.indices where self.servers[old].id == channel.linkID {
                self.servers[old].session.send("SUNSUBSCRIBE", [channel.name])
            }
            self.servers[server].session.send("SSUBSCRIBE", [channel.name])
            self.subscriptions.channels[place].linkID = self.servers[server].id
        }
    }

    // MARK: Events

    /// What is to be told when all links have said what they had to say.
    mutating func nextClusterEvent() -> RedisSession.Event? {
        if self.routes.isClosed { return nil }
        if let event = self.clusterStateEvent() { return event }
        return self.routes.unreportedFailures.popFirst().map { .failed($0.error, tag: $0.tag) }
    }

    private mutating func clusterStateEvent() -> RedisSession.Event? {
        var isEveryoneReady = true
        var outage: RedisOutage?
        for (master, server) in self.routes.serverIndexes.enumerated() where self.isNeeded(master) {
            guard let server, self.servers[server].session.isReady else {
                isEveryoneReady = false
                outage = outage ?? server.flatMap { self.routes.linkOutages[self.servers[$0].id] }
                continue
            }
        }
        return self.routes.nextStateEvent(areAllMastersReady: isEveryoneReady, outage: outage)
    }

    mutating func handleClusterEvent(
        _ event: RedisSession.Event, from place: Int, now: MonotonicTime
    ) -> RedisSession.Event? {
        let number = self.servers[place].id
        switch event {
        case .ready:
            self.routes.linkOutages[number] = nil
            self.routes.mustReportReady = true
            self.needsAnotherPass = true
            self.subscribeAtSlotOwners()
            return nil
        case .unavailable(let outage):
            self.routes.linkOutages[number] = outage
            self.subscriptions.markUnsubscribed(link: number)
            self.routes.scheduleQuery(now: now)
            self.needsAnotherPass = true
            // Before the failures that come with it.
            return self.clusterStateEvent()
        case .notExecuted(let parcels, let error):
            self.routes.scheduleQuery(now: now)
            if case .moved(let slot, let target) = error {
                let host =
                    target.host.isEmpty ? self.servers[place].endpoint?.host ?? "" : target.host
                self.subscriptions.markUnsubscribed(RedisSlot(slot), on: number)
                self.routes.map.move(
                    RedisSlot(slot), to: RedisEndpoint(host: host, port: target.port))
                self.reconcileLinks(now: now)
            }
            if let server = self.servers.firstIndex(where: { $0.id == number }) {
                self.redirect(parcels, error, from: server, now: now)
            } else {
                self.routes.retryQueue.append(contentsOf: parcels)
            }
            return nil
        case .failed(let error, _):
            switch error {
            case .connectionLost, .clusterDown, .readOnly, .masterDown, .loading, .moved, .ask,
                .tryAgain:
                self.routes.scheduleQuery(now: now)
            default: break
            }
            return event
        case .push(let reply):
            if reply[0]?.isText("sunsubscribe") == true, let name = reply[1] {
                // Ours has forgotten the link before; so the slot has left, which the server may be asked about.
                self.subscriptions.markUnsubscribed(name.bytes, on: number)
                self.routes.scheduleQuery(now: now)
                self.needsAnotherPass = true
                self.subscribeAtSlotOwners()
            }
            return event
        case .reply:
            return event
        }
    }
}
