internal import Bytes
internal import EventLoop

/// The masters of a cluster, a link to each, and one more that asks where the slots are.
extension RedisNetwork {
    // MARK: Where the slots are

    /// Asks for the slots again, now and then or because something does not fit; sees to the links and to what waits.
    mutating func lookAfterCluster(now: MonotonicTime) {
        self.askForSlots(now: now)
        self.arrange(now: now)
        self.expire(now: now)
        self.release(now: now)
    }

    private func isWell(now: MonotonicTime) -> Bool {
        self.routes.isReady && self.routes.map.isWhole && self.routes.waiting.isEmpty
            && !self.servers.contains { $0.session.silence(now: now) > ClusterRoutes.suspicion }
    }

    private mutating func askForSlots(now: MonotonicTime) {
        let isWell = self.isWell(now: now)
        if !isWell { self.routes.askAt = min(self.routes.askAt, now.advanced(by: ClusterRoutes.searchPause)) }
        guard self.informants[0].session.isReady else { return }
        if let askedAt = self.routes.askedAt {
            if now.since(askedAt) > ClusterRoutes.scoutPatience { self.moveScout(now: now) }
            return
        }
        guard now >= self.routes.askAt else { return }
        // One node may be cut off from the others and not know it.
        if !isWell, now.since(self.routes.scoutMovedAt) > ClusterRoutes.scoutPatience {
            self.moveScout(now: now)
            return
        }
        self.sayClusterSlots(now: now)
    }

    private mutating func sayClusterSlots(now: MonotonicTime) {
        self.routes.askedAt = now
        self.routes.askAt = now.advanced(by: ClusterRoutes.watchPause)
        self.informants[0].session.say("CLUSTER", ["SLOTS"])
    }

    /// To the next of those that may know: what the URL names, masters, replicas. Answers whether all have had their turn.
    @discardableResult
    private mutating func moveScout(now: MonotonicTime) -> Bool {
        var places = self.settings.url.places
        for place in self.routes.map.masters + self.routes.map.replicas where !places.contains(place) { places.append(place) }
        self.routes.candidate = (self.routes.candidate + 1) % places.count
        self.routes.scoutMovedAt = now
        self.routes.askedAt = nil
        self.isDisturbed = true
        let isRound = self.routes.candidate == 0
        self.informants[0].move(
            to: places[self.routes.candidate], because: .broken(reason: "another node is asked"), now: now, atOnce: !isRound)
        return isRound
    }

    mutating func hearScout(_ event: RedisSession.Event, now: MonotonicTime) {
        switch event {
        case .ready:
            self.routes.scoutMovedAt = now
            self.sayClusterSlots(now: now)
        case .push(let reply): self.hearSlots(reply, now: now)
        case .away(let outage):
            // Its own doing, when it moves on.
            guard outage != .broken(reason: "another node is asked") else { return }
            if self.moveScout(now: now), self.routes.map.isEmpty { self.routes.mapOutage = .noClusterNode(reason: outage.description) }
        case .reply, .failed, .returned: break
        }
    }

    private mutating func hearSlots(_ reply: RedisReply, now: MonotonicTime) {
        guard self.routes.askedAt != nil, let place = self.informants[0].place, let map = SlotMap(reply, from: place) else { return }
        self.routes.askedAt = nil
        guard !map.isEmpty else {
            if self.routes.map.isEmpty { self.routes.mapOutage = .refused(.clusterDown) }
            return
        }
        self.take(map, now: now)
    }

    private mutating func take(_ map: SlotMap, now: MonotonicTime) {
        if Set(map.masters) != Set(self.routes.map.masters) { self.routes.isNews = true }
        self.routes.map = map
        self.routes.mapOutage = nil
        self.arrange(now: now)
        self.release(now: now)
    }

    // MARK: Links

    private func serverIndex(at place: RedisPlace) -> Int? { self.servers.firstIndex { $0.place == place } }

    /// By a master's place in the map, whether there is to be a connection to it: for commands to all, for channels to those that have any.
    private func isNeeded(_ master: Int) -> Bool {
        self.purpose == .commands || self.subscriptions.channels.contains { self.routes.map.owner(of: $0.slot) == master }
    }

    /// Makes the links what the map wants, and the subscriptions what the links are.
    mutating func arrange(now: MonotonicTime) {
        guard !self.routes.isClosed else { return }
        for (master, place) in self.routes.map.masters.enumerated() where self.isNeeded(master) && self.serverIndex(at: place) == nil {
            self.servers.append(self.clusterNode(at: place))
        }
        var needed: Set<Int> = []
        for (master, place) in self.routes.map.masters.enumerated() where self.isNeeded(master) {
            if let server = self.serverIndex(at: place) { needed.insert(self.servers[server].number) }
        }
        for server in self.servers.indices.reversed() {
            let number = self.servers[server].number
            if needed.contains(number) {
                self.routes.unneededSince[number] = nil
            } else {
                let since = self.routes.unneededSince[number] ?? now
                self.routes.unneededSince[number] = since
                self.dismiss(server, since: since, now: now)
            }
        }
        self.routes.servers = self.routes.map.masters.map { self.serverIndex(at: $0) }
        self.subscribeWhereChannelsAre()
    }

    /// Lets go of a server that is no master any more: not before it has answered what it was given, unless that takes long.
    private mutating func dismiss(_ server: Int, since: MonotonicTime, now: MonotonicTime) {
        let number = self.servers[server].number
        let isLate = now.since(since) > ClusterRoutes.farewell
        if isLate || self.routes.outages[number] != nil {
            // What was never sent can be sent elsewhere.
            let parcels = self.servers[server].session.withdraw()
            self.routes.waiting.append(contentsOf: parcels)
            self.isDisturbed = self.isDisturbed || !parcels.isEmpty
        }
        if self.servers[server].session.commandCount > 0 {
            if isLate { self.servers[server].session.lose(.broken(reason: "the server is no master any more"), now: now) }
            self.isDisturbed = true
            return
        }
        // A link that was made because a slot is on the move is used again in a moment.
        guard isLate || self.purpose == .subscription || self.routes.outages[number] != nil else { return }
        self.subscriptions.forget(link: number)
        self.servers[server].close()
        self.servers.remove(at: server)
        self.isDisturbed = true
        self.routes.outages[number] = nil
        self.routes.unneededSince[number] = nil
    }

    // MARK: Commands

    /// Where commands of a slot go; nil while nobody has it.
    private func server(for slot: RedisSlot) -> Int? {
        if let master = self.routes.map.owner(of: slot) { return self.routes.servers[master] }
        guard slot == .any else { return nil }
        var best: Int?
        for case .some(let server) in self.routes.servers {
            if self.servers[server].session.isReady { return server }
            best = best ?? server
        }
        return best
    }

    private func known(_ slot: RedisSlot) -> Int? { self.isCluster ? self.server(for: slot) : 0 }

    func place(of slot: RedisSlot) -> RedisPlace? { self.known(slot).flatMap { self.servers[$0].place } }

    func master(of slot: RedisSlot) -> Int? { self.known(slot).map { self.servers[$0].number } }

    mutating func commandInCluster(
        tag: UInt64, slot: RedisSlot, now: MonotonicTime, _ write: (inout RedisCommandWriter) -> Void
    ) throws(RedisError) {
        if self.routes.isClosed { throw .closed }
        if !self.routes.waiting.has(slot), let server = self.server(for: slot) {
            return try self.servers[server].session.command(tag: tag, slot: slot, now: now, write)
        }
        var written = Outgoing()
        guard self.routes.waiting.count < self.settings.commandLimit,
            written.write(byteLimit: self.settings.unsentByteLimit - self.routes.waiting.byteCount, write)
        else { throw .queueFull }
        let bytes = Array(written.bytes(0..<written.end))
        self.routes.waiting.append(Parcel(tag: tag, slot: slot, isWait: Parcel.isWait(bytes), bytes: bytes, writtenAt: now))
    }

    /// Gives what waits to the servers that have its slots now.
    private mutating func release(now: MonotonicTime) {
        guard !self.routes.waiting.isEmpty else { return }
        for parcel in self.routes.waiting.takeAll() {
            // Nothing of a slot goes before what waits for the same.
            if now >= parcel.restsUntil, !self.routes.waiting.has(parcel.slot), let server = self.server(for: parcel.slot) {
                self.servers[server].session.deliver(parcel, asking: false, now: now)
            } else {
                self.routes.waiting.append(parcel)
            }
        }
    }

    private mutating func expire(now: MonotonicTime) {
        let limit = now.advanced(by: .zero - self.settings.commandPatience)
        guard self.routes.waiting.parcels.contains(where: { $0.writtenAt <= limit }) else { return }
        for parcel in self.routes.waiting.takeAll() {
            if parcel.writtenAt > limit {
                self.routes.waiting.append(parcel)
            } else {
                self.routes.fail([parcel], parcel.pauses > 0 ? .tryAgain : self.routes.map.isEmpty ? .noConnection : .clusterDown)
            }
        }
    }

    /// - Parameter server: that has not done the first of them; it answers the others, which are WAITs, as if it had.
    private mutating func redirect(_ parcels: [Parcel], _ error: RedisError, from server: Int, now: MonotonicTime) {
        guard let first = parcels.first else { return }
        var parcels = parcels
        switch Redirection(error, of: first, host: self.servers[server].place?.host ?? "") {
        case .tell:
            self.routes.fail(parcels, error)
        case .pause:
            for place in parcels.indices {
                parcels[place].pauses += 1
                parcels[place].restsUntil = now.advanced(by: Redirection.pauseLength)
            }
            self.routes.waiting.append(contentsOf: parcels)
        case .send(let place, let asking):
            let target = self.serverIndex(at: place) ?? self.servers.count
            if target == self.servers.count { self.servers.append(self.clusterNode(at: place)) }
            // While commands still come this way it is not idle.
            let number = self.servers[target].number
            if self.routes.unneededSince[number] != nil { self.routes.unneededSince[number] = now }
            for (number, var parcel) in parcels.enumerated() {
                parcel.moves += 1
                self.servers[target].session.deliver(parcel, asking: asking && number == 0, now: now)
            }
        }
        self.isDisturbed = true
    }

    // MARK: Channels

    private mutating func subscribeWhereChannelsAre() {
        for place in self.subscriptions.channels.indices {
            let channel = self.subscriptions.channels[place]
            guard let server = self.server(for: channel.slot), self.servers[server].session.isReady,
                self.servers[server].number != channel.link
            else { continue }
            for old in self.servers.indices where self.servers[old].number == channel.link {
                self.servers[old].session.say("SUNSUBSCRIBE", [channel.name])
            }
            self.servers[server].session.say("SSUBSCRIBE", [channel.name])
            self.subscriptions.channels[place].link = self.servers[server].number
        }
    }

    // MARK: Events

    /// What is to be told when all links have said what they had to say.
    mutating func nextOfCluster() -> RedisSession.Event? {
        if self.routes.isClosed { return nil }
        if let event = self.news() { return event }
        return self.routes.failures.popFirst().map { .failed($0.error, tag: $0.tag) }
    }

    private mutating func news() -> RedisSession.Event? {
        var isEveryoneReady = true
        var outage: RedisOutage?
        for (master, server) in self.routes.servers.enumerated() where self.isNeeded(master) {
            guard let server, self.servers[server].session.isReady else {
                isEveryoneReady = false
                outage = outage ?? server.flatMap { self.routes.outages[self.servers[$0].number] }
                continue
            }
        }
        return self.routes.news(isEveryoneReady: isEveryoneReady, outage: outage)
    }

    mutating func passOnInCluster(_ event: RedisSession.Event, from place: Int, now: MonotonicTime) -> RedisSession.Event? {
        let number = self.servers[place].number
        switch event {
        case .ready:
            self.routes.outages[number] = nil
            self.routes.isNews = true
            self.isDisturbed = true
            self.subscribeWhereChannelsAre()
            return nil
        case .away(let outage):
            self.routes.outages[number] = outage
            self.subscriptions.forget(link: number)
            self.routes.doubt(now: now)
            self.isDisturbed = true
            // Before the failures that come with it.
            return self.news()
        case .returned(let parcels, let error):
            self.routes.doubt(now: now)
            if case .moved(let slot, let target) = error {
                let host = target.host.isEmpty ? self.servers[place].place?.host ?? "" : target.host
                self.subscriptions.forget(RedisSlot(slot), over: number)
                self.routes.map.move(RedisSlot(slot), to: RedisPlace(host: host, port: target.port))
                self.arrange(now: now)
            }
            if let server = self.servers.firstIndex(where: { $0.number == number }) {
                self.redirect(parcels, error, from: server, now: now)
            } else {
                self.routes.waiting.append(contentsOf: parcels)
            }
            return nil
        case .failed(let error, _):
            switch error {
            case .connectionLost, .clusterDown, .readOnly, .masterDown, .loading, .moved, .ask, .tryAgain: self.routes.doubt(now: now)
            default: break
            }
            return event
        case .push(let reply):
            if reply[0]?.isText("sunsubscribe") == true, let name = reply[1] {
                // Ours has forgotten the link before; so the slot has left, which the server may be asked about.
                self.subscriptions.forget(name.bytes, over: number)
                self.routes.doubt(now: now)
                self.isDisturbed = true
                self.subscribeWhereChannelsAre()
            }
            return event
        case .reply:
            return event
        }
    }
}
