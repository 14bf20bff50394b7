internal import Bytes
internal import EventLoop

/// Redis Cluster: a link to each master, and a topology probe that queries the slot map.
extension RedisNetwork {
    private static let probeMovedReason = "the topology probe moved to another node"

    // MARK: Slot map

    /// Queries the slot map periodically or after a contradiction, then updates the links and the
    /// queue.
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
        let isHealthy = self.isHealthy(now: now)
        if !isHealthy {
            self.routes.nextQueryAt = min(
                self.routes.nextQueryAt, now.advanced(by: ClusterRoutes.recoveryQueryInterval))
        }
        guard self.discoveryLinks[0].session.isReady else { return }
        if let queriedAt = self.routes.queriedAt {
            if now.since(queriedAt) > ClusterRoutes.probeTimeout {
                self.moveTopologyProbe(now: now)
            }
            return
        }
        guard now >= self.routes.nextQueryAt else { return }
        // The node may be cut off from the others without noticing it.
        if !isHealthy, now.since(self.routes.probeMovedAt) > ClusterRoutes.probeTimeout {
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

    /// Moves the probe to the next endpoint: those of the URL, then masters, then replicas.
    ///
    /// - Returns: whether the probe has tried all endpoints and starts again.
    @discardableResult
    private mutating func moveTopologyProbe(now: MonotonicTime) -> Bool {
        var endpoints = self.settings.url.endpoints
        for endpoint in self.routes.map.masters + self.routes.map.replicas
        where !endpoints.contains(endpoint) { endpoints.append(endpoint) }
        self.routes.probeEndpointIndex = (self.routes.probeEndpointIndex + 1) % endpoints.count
        self.routes.probeMovedAt = now
        self.routes.queriedAt = nil
        self.needsAnotherPass = true
        let hasTriedAll = self.routes.probeEndpointIndex == 0
        self.discoveryLinks[0].changeEndpoint(
            to: endpoints[self.routes.probeEndpointIndex],
            because: .broken(reason: Self.probeMovedReason), now: now, immediately: !hasTriedAll)
        return hasTriedAll
    }

    mutating func handleTopologyProbeEvent(_ event: RedisSession.Event, now: MonotonicTime) {
        switch event {
        case .ready:
            self.routes.probeMovedAt = now
            self.sendClusterSlots(now: now)
        case .push(let reply): self.receiveSlots(reply, now: now)
        case .unavailable(let outage):
            // The probe closed this connection itself when it moved.
            guard outage != .broken(reason: Self.probeMovedReason) else { return }
            if self.moveTopologyProbe(now: now), self.routes.map.isEmpty {
                self.routes.mapOutage = .noClusterNode(reason: outage.description)
            }
        case .reply, .failed, .notExecuted: break
        }
    }

    private mutating func receiveSlots(_ reply: RedisReply, now: MonotonicTime) {
        guard self.routes.queriedAt != nil, let endpoint = self.discoveryLinks[0].endpoint,
            let map = SlotMap(reply, from: endpoint)
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

    private func serverIndex(at endpoint: RedisEndpoint) -> Int? {
        self.servers.firstIndex { $0.endpoint == endpoint }
    }

    /// Whether a master (an index in the map) needs a link. Commands need all masters;
    /// subscriptions need those that own a channel's slot.
    private func isNeeded(_ master: Int) -> Bool {
        self.mode == .commands
            || self.subscriptions.channels.contains { self.routes.map.owner(of: $0.slot) == master }
    }

    /// Opens and closes links as the map requires, then moves the subscriptions.
    mutating func reconcileLinks(now: MonotonicTime) {
        guard !self.routes.isClosed else { return }
        for (master, endpoint) in self.routes.map.masters.enumerated()
        where self.isNeeded(master) && self.serverIndex(at: endpoint) == nil {
            self.servers.append(self.makeClusterLink(to: endpoint))
        }
        var needed: Set<Int> = []
        for (master, endpoint) in self.routes.map.masters.enumerated() where self.isNeeded(master) {
            if let server = self.serverIndex(at: endpoint) {
                needed.insert(self.servers[server].id)
            }
        }
        for server in self.servers.indices.reversed() {
            let linkID = self.servers[server].id
            if needed.contains(linkID) {
                self.routes.unusedSince[linkID] = nil
            } else {
                let since = self.routes.unusedSince[linkID] ?? now
                self.routes.unusedSince[linkID] = since
                self.retire(server, since: since, now: now)
            }
        }
        self.routes.serverIndexes = self.routes.map.masters.map { self.serverIndex(at: $0) }
        self.subscribeAtSlotOwners()
    }

    /// Closes the link to a former master after it has answered its commands, or after the grace
    /// period.
    private mutating func retire(_ server: Int, since: MonotonicTime, now: MonotonicTime) {
        let linkID = self.servers[server].id
        let isLate = now.since(since) > ClusterRoutes.formerMasterGrace
        if isLate || self.routes.linkOutages[linkID] != nil {
            // These commands have not been sent, so another server can execute them.
            let commands = self.servers[server].session.withdrawWaiting()
            self.routes.retryQueue.append(contentsOf: commands)
            self.needsAnotherPass = self.needsAnotherPass || !commands.isEmpty
        }
        if self.servers[server].session.commandCount > 0 {
            if isLate {
                self.servers[server].session.disconnect(
                    .broken(reason: "the server is no longer a master"), now: now)
            }
            self.needsAnotherPass = true
            return
        }
        // A link that was opened for a migrating slot will soon be needed again.
        guard isLate || self.mode == .subscription || self.routes.linkOutages[linkID] != nil else {
            return
        }
        self.subscriptions.markUnsubscribed(link: linkID)
        self.servers[server].close()
        self.servers.remove(at: server)
        self.needsAnotherPass = true
        self.routes.linkOutages[linkID] = nil
        self.routes.unusedSince[linkID] = nil
    }

    // MARK: Commands

    /// The index of the server for the slot's commands; nil while no server owns the slot.
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
        tag: CommandTag, slot: RedisSlot, now: MonotonicTime,
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

    /// Sends queued commands to the servers that own their slots now.
    private mutating func retryQueued(now: MonotonicTime) {
        guard !self.routes.retryQueue.isEmpty else { return }
        for command in self.routes.retryQueue.drain() {
            // The commands of a slot keep their order.
            if now >= command.retryAt, !self.routes.retryQueue.contains(command.slot),
                let server = self.clusterServerIndex(for: command.slot)
            {
                self.servers[server].session.enqueue(command, asking: false, now: now)
            } else {
                self.routes.retryQueue.append(command)
            }
        }
    }

    private mutating func expireQueued(now: MonotonicTime) {
        let limit = now.advanced(by: .zero - self.settings.commandTimeout)
        guard self.routes.retryQueue.commands.contains(where: { $0.writtenAt <= limit }) else {
            return
        }
        for command in self.routes.retryQueue.drain() {
            if command.writtenAt > limit {
                self.routes.retryQueue.append(command)
            } else {
                self.routes.fail(
                    [command],
                    command.retries > 0
                        ? .tryAgain : self.routes.map.isEmpty ? .noConnection : .clusterDown)
            }
        }
    }

    /// Handles commands that a server has not executed.
    ///
    /// - Parameter server: has rejected the first of the commands. The others are WAITs, which it
    ///   answers as if it had executed the first.
    private mutating func redirect(
        _ commands: [QueuedCommand], _ error: RedisError, from server: Int, now: MonotonicTime
    ) {
        guard let first = commands.first else { return }
        var commands = commands
        switch Redirection(error, of: first, host: self.servers[server].endpoint?.host ?? "") {
        case .fail:
            self.routes.fail(commands, error)
        case .retryLater:
            for index in commands.indices {
                commands[index].retries += 1
                commands[index].retryAt = now.advanced(by: Redirection.retryDelay)
            }
            self.routes.retryQueue.append(contentsOf: commands)
        case .send(let endpoint, let asking):
            let target = self.serverIndex(at: endpoint) ?? self.servers.count
            if target == self.servers.count {
                self.servers.append(self.makeClusterLink(to: endpoint))
            }
            // A link that receives redirected commands is in use.
            let linkID = self.servers[target].id
            if self.routes.unusedSince[linkID] != nil { self.routes.unusedSince[linkID] = now }
            for (index, var command) in commands.enumerated() {
                command.redirects += 1
                self.servers[target].session.enqueue(
                    command, asking: asking && index == 0, now: now)
            }
        }
        self.needsAnotherPass = true
    }

    // MARK: Channels

    private mutating func subscribeAtSlotOwners() {
        for index in self.subscriptions.channels.indices {
            let channel = self.subscriptions.channels[index]
            guard let server = self.clusterServerIndex(for: channel.slot),
                self.servers[server].session.isReady,
                self.servers[server].id != channel.linkID
            else { continue }
            for old in self.servers.indices where self.servers[old].id == channel.linkID {
                self.servers[old].session.send("SUNSUBSCRIBE", [channel.name])
            }
            self.servers[server].session.send("SSUBSCRIBE", [channel.name])
            self.subscriptions.channels[index].linkID = self.servers[server].id
        }
    }

    // MARK: Events

    /// The next event after all links have delivered theirs.
    mutating func nextClusterEvent() -> RedisSession.Event? {
        if self.routes.isClosed { return nil }
        if let event = self.clusterStateEvent() { return event }
        return self.routes.unreportedFailures.popFirst().map { .failed($0.error, tag: $0.tag) }
    }

    private mutating func clusterStateEvent() -> RedisSession.Event? {
        var areAllMastersReady = true
        var outage: RedisOutage?
        for (master, server) in self.routes.serverIndexes.enumerated() where self.isNeeded(master) {
            guard let server, self.servers[server].session.isReady else {
                areAllMastersReady = false
                outage = outage ?? server.flatMap { self.routes.linkOutages[self.servers[$0].id] }
                continue
            }
        }
        return self.routes.nextStateEvent(areAllMastersReady: areAllMastersReady, outage: outage)
    }

    mutating func handleClusterEvent(
        _ event: RedisSession.Event, from index: Int, now: MonotonicTime
    ) -> RedisSession.Event? {
        let linkID = self.servers[index].id
        switch event {
        case .ready:
            self.routes.linkOutages[linkID] = nil
            self.routes.mustReportReady = true
            self.needsAnotherPass = true
            self.subscribeAtSlotOwners()
            return nil
        case .unavailable(let outage):
            self.routes.linkOutages[linkID] = outage
            self.subscriptions.markUnsubscribed(link: linkID)
            self.routes.scheduleQuery(now: now)
            self.needsAnotherPass = true
            // Reported before the failures of the commands in flight.
            return self.clusterStateEvent()
        case .notExecuted(let commands, let error):
            self.routes.scheduleQuery(now: now)
            if case .moved(let slot, let target) = error {
                let host =
                    target.host.isEmpty ? self.servers[index].endpoint?.host ?? "" : target.host
                self.subscriptions.markUnsubscribed(RedisSlot(slot), on: linkID)
                self.routes.map.move(
                    RedisSlot(slot), to: RedisEndpoint(host: host, port: target.port))
                self.reconcileLinks(now: now)
            }
            if let server = self.servers.firstIndex(where: { $0.id == linkID }) {
                self.redirect(commands, error, from: server, now: now)
            } else {
                self.routes.retryQueue.append(contentsOf: commands)
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
                // When the client unsubscribes itself, the channel no longer has this link. So the
                // slot has moved here, and the map must be queried again.
                self.subscriptions.markUnsubscribed(name.bytes, on: linkID)
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
