internal import Bytes
internal import EventLoop

/// The links to the masters, and the subscriptions on them.
extension RedisClusterNetwork {
    /// How long a former master may still answer the commands that it received.
    private static let formerMasterGrace = Duration.seconds(2)

    func serverIndex(at endpoint: RedisEndpoint) -> Int? {
        self.servers.firstIndex { $0.link.endpoint == endpoint }
    }

    /// Whether a master (an index in the map) needs a link. Commands need all masters;
    /// subscriptions need those that own a channel's slot.
    func isNeeded(_ master: Int) -> Bool {
        self.mode == .commands
            || self.subscriptions.channels.contains { self.slotMap.owner(of: $0.slot) == master }
    }

    mutating func addServer(at endpoint: RedisEndpoint) {
        self.servers.append(
            RedisClusterServer(link: self.links.makeServerLink(to: endpoint, as: .clusterNode)))
    }

    /// Opens and closes links as the map requires, then moves the subscriptions.
    mutating func reconcileLinks(now: MonotonicTime) {
        guard !self.health.isClosed else { return }
        for (master, endpoint) in self.slotMap.masters.enumerated()
        where self.isNeeded(master) && self.serverIndex(at: endpoint) == nil {
            self.addServer(at: endpoint)
        }
        var needed: Set<Int> = []
        for (master, endpoint) in self.slotMap.masters.enumerated() where self.isNeeded(master) {
            if let server = self.serverIndex(at: endpoint) {
                needed.insert(self.servers[server].link.id)
            }
        }
        for server in self.servers.indices.reversed() {
            if needed.contains(self.servers[server].link.id) {
                self.servers[server].unusedSince = nil
            } else {
                let since = self.servers[server].unusedSince ?? now
                self.servers[server].unusedSince = since
                self.retire(server, since: since, now: now)
            }
        }
        self.serverIndexes = self.slotMap.masters.map { self.serverIndex(at: $0) }
        self.subscribeAtSlotOwners()
    }

    /// Closes the link to a former master after it has answered its commands, or after the grace
    /// period.
    private mutating func retire(_ index: Int, since: MonotonicTime, now: MonotonicTime) {
        let linkID = self.servers[index].link.id
        let isLate = now.since(since) > Self.formerMasterGrace
        let isUnavailable = self.servers[index].outage != nil
        if isLate || isUnavailable {
            // These commands have not been sent, so another server can execute them.
            let commands = self.servers[index].link.session.withdrawWaiting()
            self.retryQueue.append(contentsOf: commands)
            self.needsAnotherPass = self.needsAnotherPass || !commands.isEmpty
        }
        if self.servers[index].link.session.commandCount > 0 {
            if isLate {
                self.servers[index].link.session.disconnect(
                    .broken(reason: "the server is no longer a master"), now: now)
            }
            self.needsAnotherPass = true
            return
        }
        // A link that was opened for a migrating slot will soon be needed again.
        guard isLate || self.mode == .subscription || isUnavailable else { return }
        self.subscriptions.markUnsubscribed(link: linkID)
        self.servers[index].link.close()
        self.servers.remove(at: index)
        self.needsAnotherPass = true
    }

    // MARK: Channels

    mutating func subscribe(to channel: ByteString, now: MonotonicTime) {
        guard self.subscriptions.add(channel) else { return }
        self.reconcileLinks(now: now)
    }

    mutating func unsubscribe(from channel: ByteString) {
        guard let channel = self.subscriptions.remove(channel) else { return }
        for index in self.servers.indices where self.servers[index].link.id == channel.linkID {
            self.servers[index].link.session.send("SUNSUBSCRIBE", [channel.name])
        }
    }

    mutating func subscribeAtSlotOwners() {
        for index in self.subscriptions.channels.indices {
            let channel = self.subscriptions.channels[index]
            guard let server = self.serverIndex(for: channel.slot),
                self.servers[server].link.session.isReady,
                self.servers[server].link.id != channel.linkID
            else { continue }
            for old in self.servers.indices where self.servers[old].link.id == channel.linkID {
                self.servers[old].link.session.send("SUNSUBSCRIBE", [channel.name])
            }
            self.servers[server].link.session.send("SSUBSCRIBE", [channel.name])
            self.subscriptions.channels[index].linkID = self.servers[server].link.id
        }
    }
}
