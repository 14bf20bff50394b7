import ClusterTorture
import Testing

@Suite("The history checker, for reactions, pins, replies, mentions and search")
struct FeatureCheckerTests {
    private static let text = "ann says"

    private func message(
        _ number: Int, _ state: HistoryChecker.ReceivedMessage.State = .sent
    ) -> HistoryChecker.ReceivedMessage {
        HistoryChecker.ReceivedMessage(
            number, by: "ann", as: "ann-\(number)",
            state == .deleted ? "" : "\(Self.text) \(number)", at: "noon", state)
    }

    /// A conversation of three messages: 2 replies to 1, 3 replies to 2 and mentions bob. Message 1
    /// has a reaction of bob, and is pinned. What clients saw agrees with what the nodes have.
    private struct Run {
        var checker = HistoryChecker()
        var history: [Int: ReceivedFeatures] = [:]
        var messages: [HistoryChecker.ReceivedMessage] = []
        var found: [Int] = [3, 2, 1]
    }

    private func run(_ checker: HistoryChecker = HistoryChecker()) -> Run {
        var run = Run(checker: checker)
        for reader in ["ann", "bob"] { run.checker.recordResume(reader, in: "c", after: 0) }
        for number in 1...3 {
            let localID = "ann-\(number)"
            run.checker.recordSend("\(Self.text) \(number)", as: localID, by: "ann")
            var references = MessageReferences()
            var features = ReceivedFeatures()
            if number > 1 {
                references.replyTo = number - 1
                features.replyTo = number - 1
                features.thread = 1
                features.excerpt = "\(Self.text) \(number - 1)"
            }
            if number == 3 { references.mentions = ["bob"] }
            features.mentions = references.mentions
            run.checker.recordReferences(references, of: localID, by: "ann")
            for reader in ["ann", "bob"] {
                run.checker.recordDelivery(self.message(number), reader: reader)
                run.checker.recordFeatures(
                    features, of: self.message(number), rev: number, reader: reader)
            }
            run.history[number] = features
            run.messages.append(self.message(number))
        }
        run.checker.recordReactionRequest("👍", isOn: true, to: 1, by: "bob")
        run.checker.recordReactionAnswer("👍", isOn: true, to: 1, by: "bob", isRefused: false)
        for reader in ["ann", "bob"] {
            run.checker.recordReactions(["👍": ["bob"]], to: 1, rev: 4, reader: reader)
            run.checker.recordPin(true, of: 1, rev: 5, reader: reader)
        }
        run.history[1]?.reactions = ["👍": ["bob"]]
        run.history[1]?.counts = ["👍": 1]
        run.history[1]?.isPinned = true
        return run
    }

    /// - Parameter other: the history through a second node.
    private func violations(of run: Run, other: [Int: ReceivedFeatures]? = nil) -> [String] {
        var checker = run.checker
        checker.recordHistory(run.messages, of: "c", through: "n1")
        checker.recordFinalFeatures(run.history, of: "c", through: "n1")
        checker.recordFinalFeatures(other ?? run.history, of: "c", through: "n2")
        checker.recordFinalSearch(run.found, of: "c", through: "n1")
        checker.checkCompleteness()
        return checker.violations
    }

    private func delete(_ number: Int, in run: inout Run) {
        run.checker.recordAmendmentRequest(number, in: "c", to: nil)
        for reader in ["ann", "bob"] {
            run.checker.recordAmendmentDelivery(self.message(number, .deleted), reader: reader)
            run.checker.recordFeatureDeletion(of: number, reader: reader)
        }
        run.messages[number - 1] = self.message(number, .deleted)
    }

    @Test("accepts what was promised, also after a deletion")
    func valid() {
        var run = self.run()
        #expect(self.violations(of: run) == [])
        self.delete(1, in: &run)
        run.history[1] = ReceivedFeatures()
        run.history[2]?.excerpt = nil
        run.found = [3, 2]
        #expect(self.violations(of: run) == [])
    }

    @Test("detects that an acknowledged reaction is lost")
    func lostReaction() {
        var run = self.run()
        run.history[1]?.reactions = [:]
        run.history[1]?.counts = [:]
        #expect(
            self.violations(of: run).contains(
                "c: 👍 of bob to message 1 is off, and was acknowledged as on"))
    }

    @Test("detects that a removed reaction is back, unless another attempt is open")
    func revivedReaction() {
        var run = self.run()
        run.checker.recordReactionRequest("👍", isOn: false, to: 1, by: "bob")
        run.checker.recordReactionAnswer("👍", isOn: false, to: 1, by: "bob", isRefused: false)
        #expect(
            self.violations(of: run) == [
                "c: 👍 of bob to message 1 is on, and was acknowledged as off"
            ])
        // A frozen node may have executed an attempt that was given up.
        run.checker.recordReactionRequest("👍", isOn: true, to: 1, by: "bob")
        #expect(self.violations(of: run) == [])
        // A refused attempt changes nothing.
        run.checker.recordReactionAnswer("👍", isOn: true, to: 1, by: "bob", isRefused: true)
        #expect(self.violations(of: run).count == 1)
    }

    @Test("detects a reaction that nobody asked for, and a wrong number of users")
    func phantoms() {
        var run = self.run()
        run.history[2]?.reactions = ["🎉": ["eve"]]
        run.history[2]?.counts = ["🎉": 2]
        for reader in ["ann", "bob"] {
            run.checker.recordReactions(["🎉": ["eve"]], to: 2, rev: 6, reader: reader)
        }
        #expect(
            self.violations(of: run) == [
                "c: message 2 has 2 🎉 of 1 users",
                "c: message 2 has 🎉 of eve, who did not ask for it",
            ])
    }

    @Test("detects that a pin differs from the newest event")
    func pins() {
        var run = self.run()
        // Late events of older revisions do not count.
        run.checker.recordPin(false, of: 1, rev: 2, reader: "bob")
        #expect(self.violations(of: run) == [])
        run.history[1]?.isPinned = false
        #expect(
            self.violations(of: run).contains(
                "c: message 1 is not pinned, and the last event said that it is pinned"))
    }

    @Test("detects that nodes differ")
    func nodes() {
        let run = self.run()
        var other = run.history
        other[1]?.counts = ["👍": 7]
        let violations = self.violations(of: run, other: other)
        #expect(violations.count == 1 && violations[0].contains("through n2"))
    }

    @Test("detects that a reader ends with other reactions or pins")
    func readers() {
        var run = self.run()
        run.checker.recordReactions([:], to: 1, rev: 7, reader: "bob")
        #expect(
            self.violations(of: run) == [
                #"c: bob ends with [:] of message 1, and the history has ["👍": Set(["bob"])]"#
            ])
        run = self.run()
        run.checker.recordPin(true, of: 2, rev: 7, reader: "bob")
        #expect(
            self.violations(of: run).contains(
                "c: for bob, message 2 ends pinned, and in the history not pinned"))
    }

    @Test("detects wrong replies, threads and mentions")
    func references() {
        let changes: [(String, (inout Run) -> Void)] = [
            (
                "c: message 3 replies to 1, and was sent as a reply to 2",
                { $0.history[3]?.replyTo = 1 }
            ),
            (
                "c: message 3 replies to 0, and was sent as a reply to 2",
                { $0.history[3]?.replyTo = nil }
            ),
            ("c: message 3 is in the thread of 2, and not of 1", { $0.history[3]?.thread = 2 }),
            ("c: message 1 is no reply, and has a thread", { $0.history[1]?.thread = 1 }),
            (
                #"c: message 3 mentions [], and was sent with ["bob"]"#,
                { $0.history[3]?.mentions = [] }
            ),
            (
                #"c: message 2 shows "old" of message 1, which has "ann says 1""#,
                { $0.history[2]?.excerpt = "old" }
            ),
            (
                #"c: message 2 shows "nothing" of message 1, which has "ann says 1""#,
                { $0.history[2]?.excerpt = nil }
            ),
        ]
        for (expected, change) in changes {
            var run = self.run()
            change(&run)
            #expect(self.violations(of: run) == [expected])
        }
    }

    @Test("detects that a deleted message has reactions or a pin, or shows in a reply")
    func deleted() {
        var run = self.run()
        self.delete(1, in: &run)
        run.found = [3, 2]
        let violations = self.violations(of: run)
        #expect(violations.contains { $0.hasPrefix("c: message 1 is deleted, and has") })
        #expect(
            violations.contains(
                #"c: message 2 shows "ann says 1" of message 1, which has "nothing""#))
    }

    @Test("detects that a search lacks a message, or finds a deleted one")
    func search() {
        var run = self.run()
        run.found = [3, 1]
        #expect(
            self.violations(of: run) == [
                "c: the search through n1 lacks [2], and wrongly has []"
            ])
        run.found = [3, 2, 1, 1]
        #expect(self.violations(of: run) == ["c: the search through n1 repeats messages"])
        run = self.run()
        self.delete(3, in: &run)
        run.history[3]?.mentions = []
        #expect(
            self.violations(of: run) == [
                "c: the search through n1 lacks [], and wrongly has [3]"
            ])
        run.checker.recordSearch(for: 3, found: [3, 1], by: "bob")
        #expect(
            run.checker.violations == [
                "c: bob searched for a word of message 3, and found 1",
                "c: bob found message 3, which is deleted",
            ])
        // Where a replaced master may discard the deletion, only the end counts.
        run = self.run(HistoryChecker(mayDiscardChanges: true))
        self.delete(3, in: &run)
        run.history[3]?.mentions = []
        run.checker.recordSearch(for: 3, found: [3], by: "bob")
        #expect(
            self.violations(of: run) == [
                "c: the search through n1 lacks [], and wrongly has [3]"
            ])
    }

    @Test("detects that a kit has loaded something else")
    func kits() {
        let run = self.run()
        let changes: [(inout ReceivedFeatures) -> Void] = [
            { $0.counts = [:] }, { $0.isPinned = false }, { $0.replyTo = 2 }, { $0.thread = 2 },
            { $0.mentions = ["eve"] }, { $0.excerpt = "old" },
        ]
        var same = run
        same.checker.recordKitView(run.history, of: "bob")
        #expect(self.violations(of: same) == [])
        for change in changes {
            var view = run.history
            change(&view[1, default: ReceivedFeatures()])
            var other = run
            other.checker.recordKitView(view, of: "bob")
            let violations = self.violations(of: other)
            #expect(
                violations.count == 1 && violations[0].hasPrefix("c: bob has loaded message 1"))
        }
    }
}
