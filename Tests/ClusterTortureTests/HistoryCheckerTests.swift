import ClusterTorture
import Testing

@Suite("The history checker")
struct HistoryCheckerTests {
    private func message(
        _ number: Int, _ sender: String = "ann", _ contentNumber: Int? = nil,
        at time: String = "noon"
    ) -> HistoryChecker.ReceivedMessage {
        let contentNumber = contentNumber ?? number
        return HistoryChecker.ReceivedMessage(
            number, by: sender, as: "\(sender)-\(contentNumber)", "\(sender) says \(contentNumber)",
            at: time)
    }

    /// A checker after ann has sent `count` messages, which ann and bob received.
    private func checker(messages count: Int, inHistory historyCount: Int? = nil) -> HistoryChecker
    {
        var checker = HistoryChecker()
        checker.recordResume("ann", in: "c", after: 0)
        checker.recordResume("bob", in: "c", after: 0)
        for number in 1...count {
            checker.recordSend("ann says \(number)", as: "ann-\(number)", by: "ann")
            checker.recordDelivery(self.message(number), reader: "ann")
            checker.recordDelivery(self.message(number), reader: "bob")
        }
        checker.recordHistory(self.history(1...(historyCount ?? count)), of: "c", through: "n1")
        return checker
    }

    private func history(_ numbers: ClosedRange<Int>) -> [HistoryChecker.ReceivedMessage] {
        numbers.map {
            var message = self.message($0)
            message.localID = nil
            return message
        }
    }

    private func violations(of checker: HistoryChecker) -> [String] {
        var checker = checker
        checker.checkCompleteness()
        return checker.violations
    }

    @Test("accepts a valid history with resumes and repeated sends")
    func validHistory() {
        var checker = self.checker(messages: 5)
        checker.recordResume("bob", in: "c", after: 3)
        checker.recordDelivery(self.message(4), reader: "bob")
        checker.recordDelivery(self.message(5), reader: "bob")
        checker.recordSend("ann says 2", as: "ann-2", by: "ann")
        checker.recordDelivery(self.message(2), reader: "ann")
        checker.recordHistory(self.history(1...5), of: "c", through: "n2")
        #expect(self.violations(of: checker) == [])
    }

    @Test("detects a changed order of one connection's sends, except after a retry")
    func senderOrder() {
        var checker = self.checker(messages: 1)
        for number in 2...4 {
            checker.recordSend("ann says \(number)", as: "ann-\(number)", by: "ann")
        }
        checker.recordFailure("ann-2", of: "ann", isRefused: true)
        checker.recordSend("ann says 2", as: "ann-2", by: "ann")
        for (number, contentNumber) in [(2, 4), (3, 2), (4, 3)] {
            checker.recordDelivery(self.message(number, "ann", contentNumber), reader: "ann")
        }
        #expect(
            checker.violations == [
                "c: ann (n1 after 0) received its own ann-4 before ann-3, which it had sent earlier"
            ])
        // Over several connections, the client is responsible for the order.
        for number in 5...6 {
            checker.recordSend("ann says \(number)", as: "ann-\(number)", by: "ann")
        }
        checker.recordResume("ann", in: "c", after: 4)
        for (number, contentNumber) in [(5, 6), (6, 5)] {
            checker.recordDelivery(self.message(number, "ann", contentNumber), reader: "ann")
        }
        #expect(checker.violations.count == 1)
    }

    @Test(
        "detects a refused message in deliveries and histories, in any order of events"
    )
    func refused() {
        let text = "as \"ann says 4\" by ann"
        for isEarly in [true, false] {
            var checker = self.checker(messages: 3)
            checker.recordSend("ann says 4", as: "ann-4", by: "ann")
            if isEarly { checker.recordDelivery(self.message(4), reader: "bob") }
            checker.recordFailure("ann-4", of: "ann", isRefused: true)
            if !isEarly { checker.recordDelivery(self.message(4), reader: "bob") }
            let early = "c: ann-4 is message 4, and was refused"
            #expect(
                checker.violations == [
                    isEarly
                        ? early
                        : "c: bob (n1 after 0) has message 4 \(text) (ann-4, noon), which was "
                            + "refused"
                ])
        }
        var checker = self.checker(messages: 3)
        checker.recordSend("ann says 4", as: "ann-4", by: "ann")
        checker.recordFailure("ann-4", of: "ann", isRefused: true)
        checker.recordHistory(self.history(1...4), of: "c", through: "n1")
        #expect(
            checker.violations == [
                "c: the history through n1 has message 4 \(text) (no id, noon), which was refused"
            ])
    }

    @Test(
        "accepts a message with a refused attempt and another that is open or stored"
    )
    func refusedInPart() {
        var checker = self.checker(messages: 3)
        for isRefused in [true, false] {
            checker.recordSend("ann says 4", as: "ann-4", by: "ann")
            checker.recordFailure("ann-4", of: "ann", isRefused: isRefused)
        }
        checker.recordDelivery(self.message(4), reader: "bob")
        checker.recordSend("ann says 5", as: "ann-5", by: "ann")
        checker.recordFailure("ann-5", of: "ann", isRefused: true)
        checker.recordSend("ann says 5", as: "ann-5", by: "ann")
        checker.recordDelivery(self.message(5), reader: "bob")
        #expect(checker.violations == [])
    }

    @Test("detects an answered message that is missing in the history")
    func lost() {
        #expect(
            self.violations(of: self.checker(messages: 5, inHistory: 4)) == [
                "c: the history through n1 has 4 messages of 5"
            ])
    }

    @Test("detects a gap in the numbers")
    func hole() {
        var checker = self.checker(messages: 5)
        checker.recordHistory(self.history(1...2) + self.history(4...5), of: "c", through: "n2")
        #expect(checker.violations == ["c: the history through n2 has message 4 at position 3"])
    }

    @Test("detects a gap and a repeat in a reader's messages")
    func gapAndRepeat() {
        var checker = self.checker(messages: 5)
        checker.recordResume("bob", in: "c", after: 2)
        checker.recordDelivery(self.message(4), reader: "bob")
        checker.recordDelivery(self.message(4), reader: "bob")
        #expect(
            checker.violations == [
                "c: bob (n1 after 2) received message 4 after 2: there is a gap",
                "c: bob (n1 after 2) received message 4 again, after 4",
            ])
    }

    @Test(
        "accepts one second answer to a repeated send, and only for its sender")
    func repeatedAnswer() {
        var checker = self.checker(messages: 5)
        checker.recordSend("ann says 2", as: "ann-2", by: "ann")
        checker.recordDelivery(self.message(2), reader: "bob")
        checker.recordDelivery(self.message(2), reader: "ann")
        checker.recordDelivery(self.message(2), reader: "ann")
        #expect(
            checker.violations == [
                "c: bob (n1 after 0) received message 2 again, after 5",
                "c: ann (n1 after 0) received message 2 again, after 5",
            ])
    }

    @Test("detects a send that was stored twice")
    func storedTwice() {
        var checker = self.checker(messages: 5)
        checker.recordDelivery(self.message(6, "ann", 3), reader: "bob")
        #expect(
            checker.violations == [
                "c: bob (n1 after 0) has message 6 as \"ann says 3\" by ann (ann-3, noon), which "
                    + "is message 3 as well"
            ])
    }

    @Test("detects two messages with one number, and one with two times")
    func disagreement() {
        var checker = self.checker(messages: 5)
        checker.recordSend("ann says 6", as: "ann-6", by: "ann")
        checker.recordResume("bob", in: "c", after: 3)
        checker.recordDelivery(self.message(4, at: "midnight"), reader: "bob")
        checker.recordDelivery(self.message(5, "ann", 6), reader: "bob")
        #expect(checker.violations.count == 2)
        #expect(checker.violations.allSatisfy { $0.contains("others have") })
    }

    @Test("detects a message that no member sent, and one with other content")
    func unsentMessage() {
        var checker = self.checker(messages: 5)
        checker.recordDelivery(self.message(6, "eve", 1), reader: "bob")
        checker.recordSend("ann says 7", as: "ann-7", by: "ann")
        var other = self.message(7)
        other.content = "ann says nothing"
        checker.recordDelivery(other, reader: "bob")
        #expect(checker.violations.count == 2)
        #expect(checker.violations[0].hasSuffix("which no member has sent"))
        #expect(checker.violations[1].hasSuffix("and what was sent is \"ann says 7\""))
    }

    @Test("detects a reader with missing messages, and a history that was not read")
    func incomplete() {
        var checker = self.checker(messages: 5)
        checker.recordResume("carol", in: "c", after: 4)
        checker.recordResume("dave", in: "d", after: 0)
        checker.recordSend("hello", as: "dave-1", by: "dave")
        checker.recordDelivery(
            HistoryChecker.ReceivedMessage(1, by: "dave", as: "dave-1", "hello", at: "noon"),
            reader: "dave")
        #expect(
            self.violations(of: checker) == [
                "d: its history was not read", "c: carol received 4 messages of 5",
            ])
    }

    /// An amended version of ann's second message.
    private func amended(_ content: String, _ state: HistoryChecker.ReceivedMessage.State)
        -> HistoryChecker.ReceivedMessage
    {
        HistoryChecker.ReceivedMessage(2, by: "ann", as: "ann-2", content, at: "noon", state)
    }

    @Test("accepts requested edits and deletions, also after a reconnect")
    func amendments() {
        var checker = self.checker(messages: 3)
        checker.recordAmendmentRequest(2, in: "c", to: "ann says no")
        for reader in ["ann", "bob"] {
            checker.recordAmendmentDelivery(self.amended("ann says no", .edited), reader: reader)
        }
        checker.recordResume("carol", in: "c", after: 1)
        checker.recordDelivery(self.amended("ann says no", .edited), reader: "carol")
        checker.recordDelivery(self.message(3), reader: "carol")
        checker.recordAmendmentRequest(2, in: "c", to: nil)
        for reader in ["ann", "bob", "carol"] {
            checker.recordAmendmentDelivery(self.amended("", .deleted), reader: reader)
        }
        var history = self.history(1...3)
        history[1].content = ""
        history[1].state = .deleted
        checker.recordHistory(history, of: "c", through: "n1")
        #expect(self.violations(of: checker) == [])
    }

    @Test("detects deleted content that reappears, for a reader and in a history")
    func deletedIsBack() {
        var checker = self.checker(messages: 3)
        checker.recordAmendmentRequest(2, in: "c", to: nil)
        checker.recordAmendmentDelivery(self.amended("", .deleted), reader: "bob")
        checker.recordResume("bob", in: "c", after: 1)
        checker.recordDelivery(self.message(2), reader: "bob")
        checker.recordHistory(self.history(1...3), of: "c", through: "n2")
        #expect(
            checker.violations == [
                "c: bob (n1 after 1) received message 2 as sent after it was deleted",
                "c: the history through n2 has message 2 as sent, and it was deleted",
            ])
    }

    @Test("names a change that the messages of a kit lack")
    func missingChange() {
        var checker = self.checker(messages: 3)
        checker.recordAmendmentRequest(2, in: "c", to: nil)
        var view = (1...3).map { self.message($0) }
        #expect(checker.changesMissing(in: view, of: "bob") == nil)
        checker.recordAmendmentDelivery(self.amended("", .deleted), reader: "ann")
        #expect(
            checker.changesMissing(in: view, of: "bob") == "message 2 as sent, and it was deleted")
        view[1] = self.amended("", .deleted)
        #expect(checker.changesMissing(in: view, of: "bob") == nil)
    }

    @Test("detects an edit and a deletion that were not requested")
    func unrequestedAmendments() {
        var checker = self.checker(messages: 3)
        checker.recordAmendmentRequest(2, in: "c", to: "ann says no")
        checker.recordAmendmentDelivery(self.amended("ann says yes", .edited), reader: "bob")
        checker.recordAmendmentDelivery(self.amended("", .deleted), reader: "bob")
        #expect(checker.violations.count == 2)
        #expect(checker.violations.allSatisfy { $0.hasSuffix("which was not requested") })
    }

    @Test("reports once that a delivered message was replaced by a placeholder")
    func replaced() {
        var checker = self.checker(messages: 3)
        var history = self.history(1...3)
        history[1] = HistoryChecker.ReceivedMessage(
            2, by: "nobody", as: nil, "", at: "midnight", .deleted)
        checker.recordHistory(history, of: "c", through: "n1")
        checker.recordHistory(history, of: "c", through: "n2")
        #expect(checker.violations.count == 1)
        #expect(
            checker.violations.first?.hasPrefix(
                "c: message 2, \"ann says 2\" by ann (ann-2, noon), was delivered and is lost")
                == true)
    }
}
