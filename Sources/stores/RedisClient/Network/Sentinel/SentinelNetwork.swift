internal import Bytes
internal import EventLoop

/// The connections of a client with sentinels: one to the master, and one to each sentinel, which
/// subscribes to `+switch-master`.
///
/// `SentinelMonitor` decides; this type executes its directives on the links.
struct SentinelNetwork {
    var master: SingleServer
    var sentinels: [RedisLink]
    private var monitor: SentinelMonitor
    /// The link whose events are consumed next; the master is behind the sentinels.
    private var pollIndex = 0
    /// A link that has already been polled may have another event.
    private var needsAnotherPass = false

    init(_ links: RedisLinkFactory, master name: String) {
        var links = links
        let url = links.settings.url
        self.master = SingleServer(
            links.makeServerLink(to: nil, as: .master), for: links.mode)
        self.sentinels = url.endpoints.map { links.makeSentinelLink(to: $0) }
        self.monitor = SentinelMonitor(
            master: name, sentinelCount: url.endpoints.count, hasPassword: url.password != nil)
    }

    var state: SentinelMonitor.State { self.monitor.state }

    mutating func tick(now: MonotonicTime, into attempts: inout [RedisLink.ConnectAttempt]) {
        self.execute(
            self.monitor.tick(isMasterReady: self.master.link.session.isReady, now: now), now: now)
        for index in self.sentinels.indices {
            self.sentinels[index].tick(now: now, into: &attempts)
        }
        self.master.link.tick(now: now, into: &attempts)
    }

    /// The next event; nil when there are no more.
    mutating func next(now: MonotonicTime) -> RedisSession.Event? {
        while true {
            if self.pollIndex < self.sentinels.count {
                if let event = self.sentinels[self.pollIndex].next(now: now) {
                    self.needsAnotherPass = true
                    self.handle(event, fromSentinel: self.pollIndex, now: now)
                    continue
                }
            } else if self.pollIndex == self.sentinels.count {
                if let event = self.master.next(now: now) {
                    if case .unavailable = event { self.monitor.masterUnavailable(now: now) }
                    return event
                }
            } else {
                self.pollIndex = 0
                guard self.needsAnotherPass else { return nil }
                self.needsAnotherPass = false
                continue
            }
            self.pollIndex += 1
        }
    }

    private mutating func handle(
        _ event: RedisSession.Event, fromSentinel sentinel: Int, now: MonotonicTime
    ) {
        switch event {
        case .ready: self.execute(self.monitor.sentinelReady(sentinel), now: now)
        case .push(let reply):
            self.execute(self.monitor.received(reply, from: sentinel, now: now), now: now)
        case .unavailable(let outage):
            self.execute(self.monitor.sentinelUnavailable(sentinel, outage), now: now)
        case .reply, .failed, .notExecuted: break
        }
    }

    private mutating func execute(
        _ directives: [SentinelMonitor.SentinelDirective], now: MonotonicTime
    ) {
        for directive in directives {
            switch directive {
            case .query(let sentinel):
                self.sentinels[sentinel].session.queryMaster(self.monitor.masterName)
            case .authenticate(let sentinel):
                self.sentinels[sentinel].session.serverRole = .sentinel(authenticates: true)
                self.sentinels[sentinel].session.retryImmediately(now: now)
            case .connect(let endpoint):
                self.master.link.changeEndpoint(
                    to: endpoint, because: .masterChanged(to: endpoint), now: now)
            case .report(let outage): self.master.link.session.reportOutage(outage)
            }
        }
    }
}

extension RedisSession {
    /// Sends all commands in one write. A subscribed connection cannot send queries, so the client
    /// unsubscribes for the duration of the query.
    fileprivate mutating func queryMaster(_ name: String) {
        self.send("UNSUBSCRIBE")
        self.send {
            $0.append("SENTINEL")
            $0.append("GET-MASTER-ADDR-BY-NAME")
            $0.append(text: name)
        }
        self.send("SUBSCRIBE", ["+switch-master"])
    }
}
