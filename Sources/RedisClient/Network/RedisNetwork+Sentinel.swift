internal import Bytes
internal import EventLoop

/// The master that sentinels name.
///
/// Each sentinel has a connection that listens to `+switch-master` and is asked once it is there, again whenever the master is away, and
/// now and then in any case.
extension RedisNetwork {
    private static let searchInterval = Duration.milliseconds(500)
    private static let watchInterval = Duration.seconds(10)

    mutating func querySentinelsIfDue(now: MonotonicTime) {
        guard now >= self.nextSentinelQueryAt else { return }
        self.nextSentinelQueryAt = now.advanced(
            by: self.servers[0].session.isReady ? Self.watchInterval : Self.searchInterval)
        for place in self.discoveryLinks.indices {
            self.discoveryLinks[place].session.queryMaster(self.masterSearch?.name)
        }
    }

    mutating func handleSentinelEvent(
        _ event: RedisSession.Event, from sentinel: Int, now: MonotonicTime
    ) {
        switch event {
        case .ready: self.discoveryLinks[sentinel].session.queryMaster(self.masterSearch?.name)
        case .push(let reply):
            switch self.masterSearch?.message(in: reply) {
            case .answer(let place):
                self.masterSearch?.receivedAnswer(place, from: sentinel, now: now)
            case .switched(let old, let new):
                self.masterSearch?.receivedSwitch(from: old, to: new, by: sentinel, now: now)
            case nil: break
            }
        case .unavailable(let outage):
            // The URL's password is for the servers. A sentinel gets it only when it asks for one.
            if outage == .refused(.notAuthenticated), self.settings.url.password != nil,
                self.discoveryLinks[sentinel].session.serverRole == .sentinel(authenticates: false)
            {
                self.discoveryLinks[sentinel].session.serverRole = .sentinel(authenticates: true)
                self.discoveryLinks[sentinel].session.retryImmediately(now: now)
            } else {
                self.masterSearch?.sentinelUnavailable(sentinel, outage)
            }
        case .reply, .failed, .notExecuted: break
        }
        self.followMaster(now: now)
    }

    private mutating func followMaster(now: MonotonicTime) {
        if let master = self.masterSearch?.master {
            if master != self.servers[0].endpoint {
                self.servers[0].changeEndpoint(
                    to: master, because: .masterChanged(to: master), now: now)
            }
        } else if let outage = self.masterSearch?.outage {
            self.servers[0].session.reportOutage(outage)
        }
    }
}

extension RedisSession {
    /// In one write. Who is subscribed may not ask, so the subscription ends for as long as that takes.
    fileprivate mutating func queryMaster(_ name: String?) {
        guard let name else { return }
        self.send("UNSUBSCRIBE")
        self.send {
            $0.append("SENTINEL")
            $0.append("GET-MASTER-ADDR-BY-NAME")
            $0.append(text: name)
        }
        self.send("SUBSCRIBE", ["+switch-master"])
    }
}
