internal import Bytes
internal import EventLoop

/// Redis Sentinel: follows the master that the sentinels name.
///
/// Each sentinel has a connection that subscribes to `+switch-master`. The client queries a
/// sentinel when it connects, whenever the master is unavailable, and at long intervals otherwise.
extension RedisNetwork {
    private static let searchInterval = Duration.milliseconds(500)
    private static let watchInterval = Duration.seconds(10)

    mutating func querySentinelsIfDue(now: MonotonicTime) {
        guard now >= self.nextSentinelQueryAt else { return }
        self.nextSentinelQueryAt = now.advanced(
            by: self.servers[0].session.isReady ? Self.watchInterval : Self.searchInterval)
        for index in self.discoveryLinks.indices {
            self.discoveryLinks[index].session.queryMaster(self.masterSearch?.name)
        }
    }

    mutating func handleSentinelEvent(
        _ event: RedisSession.Event, from sentinel: Int, now: MonotonicTime
    ) {
        switch event {
        case .ready: self.discoveryLinks[sentinel].session.queryMaster(self.masterSearch?.name)
        case .push(let reply):
            switch self.masterSearch?.message(in: reply) {
            case .answer(let endpoint):
                self.masterSearch?.receivedAnswer(endpoint, from: sentinel, now: now)
            case .switched(let old, let new):
                self.masterSearch?.receivedSwitch(from: old, to: new, by: sentinel, now: now)
            case nil: break
            }
        case .unavailable(let outage):
            // The URL's password is meant for the servers. A sentinel gets it only after it has
            // replied NOAUTH.
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
    /// Sends all commands in one write. A subscribed connection cannot send queries, so the client
    /// unsubscribes for the duration of the query.
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
