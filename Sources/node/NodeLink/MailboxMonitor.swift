/// Monitors the node's own mailbox in Redis: the subscription to it, and whether the node's own
/// probes return through it.
///
/// It is a value. It receives events with the milliseconds of one clock, and decides what to do.
struct MailboxMonitor {
    /// Without a returned probe for this time, a node is unhealthy. It subscribes again, unless
    /// Redis does not reply at all.
    static let silenceLimit: Int64 = 1000
    /// A probe that Redis accepted returns within this time, or is lost.
    private static let deliveryDelay: Int64 = 400

    /// The incarnation whose mailbox is subscribed; 0 before the first one.
    private(set) var incarnation: UInt64 = 0
    /// The incarnation at the last confirmed subscription.
    private var subscribedIncarnation: UInt64 = 0
    private(set) var probeReturnedAt: Int64
    /// When Redis accepted the first probe that has not returned; nil if none is missing.
    private var probeMissingSince: Int64?
    /// A new subscription gets time until then.
    private var resubscribeNotBefore: Int64 = .min
    /// The result of the last `healthChange`.
    private(set) var isHealthy = true
    /// How often the mailbox was subscribed again because no probe returned.
    private(set) var resubscriptions = 0
    /// The age of the last probe when the mailbox was last subscribed again.
    private var rebuildAge: Int64?
    /// The time since the last probe when a lost connection was replaced before the silence was
    /// noticed.
    private var replacementAge: Int64?

    init(at now: Int64) {
        self.probeReturnedAt = now
    }

    /// The time since a probe returned.
    func age(at now: Int64) -> Int64 { now - self.probeReturnedAt }

    /// Changes the mailbox to that of a new incarnation; nil if it is subscribed already.
    mutating func move(to incarnation: UInt64, at now: Int64) -> (old: UInt64?, new: UInt64)? {
        guard self.incarnation != incarnation else { return nil }
        defer {
            self.incarnation = incarnation
            self.probeReturned(at: now)
        }
        return (self.incarnation == 0 ? nil : self.incarnation, incarnation)
    }

    /// Redis has confirmed the subscription.
    ///
    /// - Returns: whether the same mailbox was subscribed before, so that messages may have been
    ///   missed.
    mutating func subscribed(at now: Int64) -> Bool {
        let age = self.age(at: now)
        self.probeReturned(at: now)
        defer { self.subscribedIncarnation = self.incarnation }
        guard self.subscribedIncarnation == self.incarnation else { return false }
        // After a silence, its own event says so.
        if self.isHealthy, self.rebuildAge == nil {
            self.resubscriptions += 1
            self.replacementAge = age
        }
        return true
    }

    /// A probe has returned.
    mutating func probeReturned(at now: Int64) {
        self.probeReturnedAt = now
        self.probeMissingSince = nil
    }

    /// Redis has accepted a probe, which is sent twice a second. The probe may have returned
    /// before.
    mutating func probeAccepted(at now: Int64) {
        if self.probeMissingSince == nil, self.age(at: now) >= Self.deliveryDelay {
            self.probeMissingSince = now
        }
    }

    /// Whether to subscribe again. Call it while the connections are ready. After `true`, the next
    /// one follows after a second at the earliest.
    mutating func mustResubscribe(at now: Int64) -> Bool {
        guard self.age(at: now) > Self.silenceLimit, now >= self.resubscribeNotBefore,
            let since = self.probeMissingSince, now - since >= Self.deliveryDelay
        else {
            return false
        }
        self.resubscriptions += 1
        self.rebuildAge = self.age(at: now)
        self.probeMissingSince = nil
        self.resubscribeNotBefore = now + Self.silenceLimit
        return true
    }

    /// The milliseconds of silence before the last rebuild, if it is not taken yet.
    mutating func takeRebuild() -> Int64? { self.rebuildAge.take() }

    /// The milliseconds since the last probe when a lost connection was replaced, if they are not
    /// taken yet.
    mutating func takeReplacement() -> Int64? { self.replacementAge.take() }

    /// Whether the mailbox is healthy, if that has changed.
    mutating func healthChange(at now: Int64) -> Bool? {
        let isGood = self.age(at: now) <= Self.silenceLimit
        guard isGood != self.isHealthy else { return nil }
        self.isHealthy = isGood
        return isGood
    }
}
