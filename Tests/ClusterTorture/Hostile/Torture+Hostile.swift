import Foundation
import TestKit

extension Torture {
    /// How much hostile clients slow down the members.
    public struct HostileEffect: Sendable {
        /// The median time from a member's send to its answer, without and with hostile clients.
        public let before: Duration
        public let during: Duration

        public var isWithinLimit: Bool { self.during < self.before * 2 }
    }

    /// Measures the members' answers for this time, then for the same time beside a hostile member
    /// and a hostile stranger, under these faults.
    public func measureHostileClients(_ kinds: [FaultKind], for time: Duration) throws
        -> HostileEffect
    {
        _ = self.journal.takeAnswerTimes()
        if kinds.isEmpty { self.sleep(for: time) } else { try self.injectFaults(kinds, for: time) }
        let before = Self.median(self.journal.takeAnswerTimes())
        self.log("a hostile member and a hostile stranger arrive")
        for acts in [HostileAct.ofMember, HostileAct.ofStranger] {
            HostileClient.start(
                acts, in: self.conversations, seed: self.random.next(), context: self.context)
        }
        if kinds.isEmpty { self.sleep(for: time) } else { try self.injectFaults(kinds, for: time) }
        return HostileEffect(
            before: before, during: Self.median(self.journal.takeAnswerTimes()))
    }

    private static func median(_ times: [Duration]) -> Duration {
        times.isEmpty ? .zero : times.sorted()[times.count / 2]
    }
}
