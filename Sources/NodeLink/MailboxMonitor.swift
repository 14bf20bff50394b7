/// A node's mailbox in Redis as the node knows it: which it listens to, and whether it hears what it sends there itself.
///
/// A value: it is told what happens, in milliseconds of one clock, and says what is to be done.
struct MailboxMonitor {
    /// After so much silence of its own mailbox a node is ill, and listens anew: unless it is Redis that says nothing.
    static let silenceLimit: Int64 = 1000
    /// What Redis has taken is here after so long, or does not come.
    private static let deliveryDelay: Int64 = 400

    /// Whose mailbox is listened to; 0 before any is.
    private(set) var incarnation: UInt64 = 0
    /// The one that was listened to when a subscription was heard of last.
    private var subscribedIncarnation: UInt64 = 0
    private var probeReturnedAt: Int64
    /// When Redis took the first probe that has not been heard; nil where none is missing.
    private var probeMissingSince: Int64?
    /// Until then what was listened to anew is given its time.
    private var resubscribeNotBefore: Int64 = .min
    /// As `change` found it last.
    private(set) var isHealthy = true
    /// How often it was listened to anew because nothing came.
    private(set) var resubscriptions = 0

    init(at now: Int64) {
        self.probeReturnedAt = now
    }

    /// How long ago something came last.
    func age(at now: Int64) -> Int64 { now - self.probeReturnedAt }

    /// The mailbox is named by the incarnation. Nil where that is listened to already.
    mutating func move(to incarnation: UInt64, at now: Int64) -> (old: UInt64?, new: UInt64)? {
        guard self.incarnation != incarnation else { return nil }
        defer {
            self.incarnation = incarnation
            self.probeReturned(at: now)
        }
        return (self.incarnation == 0 ? nil : self.incarnation, incarnation)
    }

    /// It is listened to from here on.
    ///
    /// - Returns: whether it was before, so that something may have been missed between.
    mutating func subscribed(at now: Int64) -> Bool {
        self.probeReturned(at: now)
        defer { self.subscribedIncarnation = self.incarnation }
        return self.subscribedIncarnation == self.incarnation
    }

    /// The node has heard itself.
    mutating func probeReturned(at now: Int64) {
        self.probeReturnedAt = now
        self.probeMissingSince = nil
    }

    /// Redis has taken what the node sends to itself twice a second. It may have been heard before this is known.
    mutating func probeAccepted(at now: Int64) {
        if self.probeMissingSince == nil, self.age(at: now) >= Self.deliveryDelay {
            self.probeMissingSince = now
        }
    }

    /// To be asked where the connections are there. When this answers true, another is given a second before it does so again.
    mutating func mustResubscribe(at now: Int64) -> Bool {
        guard self.age(at: now) > Self.silenceLimit, now >= self.resubscribeNotBefore,
            let since = self.probeMissingSince, now - since >= Self.deliveryDelay
        else {
            return false
        }
        self.resubscriptions += 1
        self.probeMissingSince = nil
        self.resubscribeNotBefore = now + Self.silenceLimit
        return true
    }

    /// Whether mail flows, where that has changed.
    mutating func healthChange(at now: Int64) -> Bool? {
        let isGood = self.age(at: now) <= Self.silenceLimit
        guard isGood != self.isHealthy else { return nil }
        self.isHealthy = isGood
        return isGood
    }
}
