/// A node's mailbox in Redis as the node knows it: which it listens to, and whether it hears what it sends there itself.
///
/// A value: it is told what happens, in milliseconds of one clock, and says what is to be done.
struct OwnMailbox {
    /// After so much silence of its own mailbox a node is ill, and listens anew: unless it is Redis that says nothing.
    static let silence: Int64 = 1000
    /// What Redis has taken is here after so long, or does not come.
    private static let delay: Int64 = 400

    /// Whose mailbox is listened to; 0 before any is.
    private(set) var incarnation: UInt64 = 0
    /// The one that was listened to when a subscription was heard of last.
    private var hasListened: UInt64 = 0
    private var heardAt: Int64
    /// When Redis took the first probe that has not been heard; nil where none is missing.
    private var missingSince: Int64?
    /// Until then what was listened to anew is given its time.
    private var patientUntil: Int64 = .min
    /// As `change` found it last.
    private(set) var isGood = true
    /// How often it was listened to anew because nothing came.
    private(set) var rebuilds = 0

    init(at now: Int64) {
        self.heardAt = now
    }

    /// How long ago something came last.
    func age(at now: Int64) -> Int64 { now - self.heardAt }

    /// The mailbox is named by the incarnation. Nil where that is listened to already.
    mutating func move(to incarnation: UInt64, at now: Int64) -> (old: UInt64?, new: UInt64)? {
        guard self.incarnation != incarnation else { return nil }
        defer {
            self.incarnation = incarnation
            self.heard(at: now)
        }
        return (self.incarnation == 0 ? nil : self.incarnation, incarnation)
    }

    /// It is listened to from here on.
    ///
    /// - Returns: whether it was before, so that something may have been missed between.
    mutating func subscribed(at now: Int64) -> Bool {
        self.heard(at: now)
        defer { self.hasListened = self.incarnation }
        return self.hasListened == self.incarnation
    }

    /// The node has heard itself.
    mutating func heard(at now: Int64) {
        self.heardAt = now
        self.missingSince = nil
    }

    /// Redis has taken what the node sends to itself twice a second. It may have been heard before this is known.
    mutating func probeTaken(at now: Int64) {
        if self.missingSince == nil, self.age(at: now) >= Self.delay { self.missingSince = now }
    }

    /// To be asked where the connections are there. When this answers true, another is given a second before it does so again.
    mutating func mustListenAnew(at now: Int64) -> Bool {
        guard self.age(at: now) > Self.silence, now >= self.patientUntil, let since = self.missingSince, now - since >= Self.delay else {
            return false
        }
        self.rebuilds += 1
        self.missingSince = nil
        self.patientUntil = now + Self.silence
        return true
    }

    /// Whether mail flows, where that has changed.
    mutating func change(at now: Int64) -> Bool? {
        let isGood = self.age(at: now) <= Self.silence
        guard isGood != self.isGood else { return nil }
        self.isGood = isGood
        return isGood
    }
}
