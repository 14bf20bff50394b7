internal import Bytes
internal import EventLoop

/// The master that sentinels name.
///
/// Each sentinel has a connection that listens to `+switch-master` and is asked once it is there, again whenever the master is away, and
/// now and then in any case.
extension RedisNetwork {
    private static let searchPause = Duration.milliseconds(500)
    private static let watchPause = Duration.seconds(10)

    mutating func searchAgain(now: MonotonicTime) {
        guard now >= self.searchAt else { return }
        self.searchAt = now.advanced(by: self.servers[0].session.isReady ? Self.watchPause : Self.searchPause)
        for place in self.informants.indices { self.informants[place].session.askForMaster(self.search?.name) }
    }

    mutating func hearSentinel(_ event: RedisSession.Event, from sentinel: Int, now: MonotonicTime) {
        switch event {
        case .ready: self.informants[sentinel].session.askForMaster(self.search?.name)
        case .push(let reply):
            switch self.search?.news(in: reply) {
            case .answer(let place): self.search?.heard(place, from: sentinel, now: now)
            case .switched(let old, let new): self.search?.switched(from: old, to: new, by: sentinel, now: now)
            case nil: break
            }
        case .away(let outage):
            // The URL's password is for the servers. A sentinel gets it only when it asks for one.
            if outage == .refused(.notAuthenticated), self.settings.url.password != nil,
                self.informants[sentinel].session.counterpart == .sentinel(knowsPassword: false)
            {
                self.informants[sentinel].session.counterpart = .sentinel(knowsPassword: true)
                self.informants[sentinel].session.hurry(now: now)
            } else {
                self.search?.lost(sentinel, outage)
            }
        case .reply, .failed, .returned: break
        }
        self.follow(now: now)
    }

    private mutating func follow(now: MonotonicTime) {
        if let master = self.search?.master {
            if master != self.servers[0].place { self.servers[0].move(to: master, because: .masterChanged(to: master), now: now) }
        } else if let outage = self.search?.outage {
            self.servers[0].session.despair(outage)
        }
    }
}

extension RedisSession {
    /// In one write. Who is subscribed may not ask, so the subscription ends for as long as that takes.
    fileprivate mutating func askForMaster(_ name: String?) {
        guard let name else { return }
        self.say("UNSUBSCRIBE")
        self.say {
            $0.append("SENTINEL")
            $0.append("GET-MASTER-ADDR-BY-NAME")
            $0.append(text: name)
        }
        self.say("SUBSCRIBE", ["+switch-master"])
    }
}
