import ClusterTorture
import TestKit
import Testing

extension TortureSuites {
    /// A short run of `script/torture --kits`, with a driver of each kit per conversation.
    @Suite("the client kits keep their promises")
    struct KitFaultTests {
        /// All kits; a missing runtime is an error.
        private static let kits = ["python", "swift", "js"]

        private func torture(_ kits: [KitCommand], conversations: Int = 2) throws -> Torture {
            var settings = TortureSettings(seed: 4)
            settings.kits = kits
            settings.conversations = conversations
            return try Torture(settings)
        }

        @Test("through kills, a drain, cut and frozen connections")
        func faults() throws {
            let torture = try self.torture(Self.kits.map { try .named($0) })
            try torture.start()
            for fault in [
                ClusterFault.kill("n1", restartAfter: .milliseconds(500)),
                .drain("n2"),
                .clientCut(for: .milliseconds(500)),
                .clientFreeze(.toClient, for: .seconds(1), isReset: true),
                .clientFreeze(.toServer, for: .seconds(1), isReset: true),
            ] {
                #expect(try torture.inject(fault) != nil, "\(fault)")
            }
            let result = try torture.finishKeepingLogs()
            #expect(result.violations == [])
            // Each of the kits has sent, edited and refused messages.
            #expect(result.counts.answered > 40, "\(result.counts)")
        }

        /// What a faulty driver does, and the words of the judge.
        private static let violations = [
            ("drop", "there is a gap"), ("repeat", "again, after"), ("reorder", "there is a gap"),
            ("forget", "was acknowledged as message"),
        ]

        @Test(
            "and the judge notices a kit that does not",
            arguments: TestRun.isLong ? Self.violations : Array(Self.violations.prefix(1)))
        func judge(fault: String, words: String) throws {
            let swift = try KitCommand.named("swift")
            let wrapper = [
                try Checkout.python(), "-u",
                Checkout.file("Tests/SystemTests/Clients/faulty_driver.py"),
                fault,
            ]
            let torture = try self.torture([swift, swift.wrapped(in: wrapper)], conversations: 1)
            try torture.start()
            // The faulty driver may start some seconds later, and damages its third or fifth event.
            try Deadline.wait(for: "enough messages", untilTrue: { torture.messageCount >= 60 })
            let result = try torture.finish()
            #expect(result.violations.contains { $0.contains(words) }, "\(result.violations)")
            #expect(result.violations.allSatisfy { $0.contains("-swift1") }, "\(result.violations)")
        }
    }
}
