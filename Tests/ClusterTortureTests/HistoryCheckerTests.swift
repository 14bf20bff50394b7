import ClusterTorture
import Testing

@Suite("The checker of histories")
struct HistoryCheckerTests {
    private func message(_ number: Int, _ sender: String = "ann", _ place: Int? = nil, at time: String = "noon") -> HistoryChecker.Message {
        let place = place ?? number
        return HistoryChecker.Message(number, by: sender, as: "\(sender)-\(place)", "\(sender) says \(place)", at: time)
    }

    /// Ann says so many things, which she and Bob hear.
    private func told(_ count: Int, kept: Int? = nil) -> HistoryChecker {
        var checker = HistoryChecker()
        checker.resumes("ann", in: "c", after: 0)
        checker.resumes("bob", in: "c", after: 0)
        for number in 1...count {
            checker.sends("ann says \(number)", as: "ann-\(number)", by: "ann")
            checker.hears(self.message(number), reader: "ann")
            checker.hears(self.message(number), reader: "bob")
        }
        checker.reads(self.history(1...(kept ?? count)), of: "c", through: "n1")
        return checker
    }

    private func history(_ numbers: ClosedRange<Int>) -> [HistoryChecker.Message] {
        numbers.map {
            var message = self.message($0)
            message.localID = nil
            return message
        }
    }

    private func verdict(of checker: HistoryChecker) -> [String] {
        var checker = checker
        checker.conclude()
        return checker.violations
    }

    @Test("finds nothing where nothing is wrong, resumes and repeated sends included")
    func good() {
        var checker = self.told(5)
        checker.resumes("bob", in: "c", after: 3)
        checker.hears(self.message(4), reader: "bob")
        checker.hears(self.message(5), reader: "bob")
        checker.sends("ann says 2", as: "ann-2", by: "ann")
        checker.hears(self.message(2), reader: "ann")
        checker.reads(self.history(1...5), of: "c", through: "n2")
        #expect(self.verdict(of: checker) == [])
    }

    @Test("sees that what one connection sent has another order, unless it was told to try again")
    func senderOrder() {
        var checker = self.told(1)
        for number in 2...4 { checker.sends("ann says \(number)", as: "ann-\(number)", by: "ann") }
        checker.failed("ann-2", of: "ann", isRefused: true)
        checker.sends("ann says 2", as: "ann-2", by: "ann")
        for (number, place) in [(2, 4), (3, 2), (4, 3)] { checker.hears(self.message(number, "ann", place), reader: "ann") }
        #expect(checker.violations == ["c: ann (n1 after 0) heard its own ann-4 before ann-3, which it had sent earlier"])
        // Over another connection it is for the client to keep an order.
        for number in 5...6 { checker.sends("ann says \(number)", as: "ann-\(number)", by: "ann") }
        checker.resumes("ann", in: "c", after: 4)
        for (number, place) in [(5, 6), (6, 5)] { checker.hears(self.message(number, "ann", place), reader: "ann") }
        #expect(checker.violations.count == 1)
    }

    @Test("sees a refused message, whether a reader or a history has it, and whether it was shown before or after")
    func refused() {
        let words = "as \"ann says 4\" by ann"
        for isEarly in [true, false] {
            var checker = self.told(3)
            checker.sends("ann says 4", as: "ann-4", by: "ann")
            if isEarly { checker.hears(self.message(4), reader: "bob") }
            checker.failed("ann-4", of: "ann", isRefused: true)
            if !isEarly { checker.hears(self.message(4), reader: "bob") }
            let early = "c: ann-4 is message 4, and was refused"
            #expect(
                checker.violations == [
                    isEarly ? early : "c: bob (n1 after 0) has message 4 \(words) (ann-4, noon), which was refused"
                ])
        }
        var checker = self.told(3)
        checker.sends("ann says 4", as: "ann-4", by: "ann")
        checker.failed("ann-4", of: "ann", isRefused: true)
        checker.reads(self.history(1...4), of: "c", through: "n1")
        #expect(checker.violations == ["c: the history through n1 has message 4 \(words) (no id, noon), which was refused"])
    }

    @Test("finds nothing wrong with a message of which one try was refused, and another is open or was stored")
    func refusedInPart() {
        var checker = self.told(3)
        for isRefused in [true, false] {
            checker.sends("ann says 4", as: "ann-4", by: "ann")
            checker.failed("ann-4", of: "ann", isRefused: isRefused)
        }
        checker.hears(self.message(4), reader: "bob")
        checker.sends("ann says 5", as: "ann-5", by: "ann")
        checker.failed("ann-5", of: "ann", isRefused: true)
        checker.sends("ann says 5", as: "ann-5", by: "ann")
        checker.hears(self.message(5), reader: "bob")
        #expect(checker.violations == [])
    }

    @Test("misses an answered message that no history has")
    func lost() {
        #expect(self.verdict(of: self.told(5, kept: 4)) == ["c: the history through n1 has 4 messages of 5"])
    }

    @Test("sees a hole in the numbers")
    func hole() {
        var checker = self.told(5)
        checker.reads(self.history(1...2) + self.history(4...5), of: "c", through: "n2")
        #expect(checker.violations == ["c: the history through n2 has message 4 in place 3"])
    }

    @Test("sees a gap and a repeat in what a reader is shown")
    func gapAndRepeat() {
        var checker = self.told(5)
        checker.resumes("bob", in: "c", after: 2)
        checker.hears(self.message(4), reader: "bob")
        checker.hears(self.message(4), reader: "bob")
        #expect(
            checker.violations == [
                "c: bob (n1 after 2) heard message 4 after 2: there is a gap", "c: bob (n1 after 2) heard message 4 again, after 4",
            ])
    }

    @Test("takes the second answer to a repeated send once, and not for a repeat of somebody else's")
    func repeatedAnswer() {
        var checker = self.told(5)
        checker.sends("ann says 2", as: "ann-2", by: "ann")
        checker.hears(self.message(2), reader: "bob")
        checker.hears(self.message(2), reader: "ann")
        checker.hears(self.message(2), reader: "ann")
        #expect(
            checker.violations == [
                "c: bob (n1 after 0) heard message 2 again, after 5", "c: ann (n1 after 0) heard message 2 again, after 5",
            ])
    }

    @Test("sees that a send was stored twice")
    func twice() {
        var checker = self.told(5)
        checker.hears(self.message(6, "ann", 3), reader: "bob")
        #expect(
            checker.violations == ["c: bob (n1 after 0) has message 6 as \"ann says 3\" by ann (ann-3, noon), which is message 3 as well"])
    }

    @Test("sees two messages under one number, and one at two times")
    func disagreement() {
        var checker = self.told(5)
        checker.sends("ann says 6", as: "ann-6", by: "ann")
        checker.resumes("bob", in: "c", after: 3)
        checker.hears(self.message(4, at: "midnight"), reader: "bob")
        checker.hears(self.message(5, "ann", 6), reader: "bob")
        #expect(checker.violations.count == 2)
        #expect(checker.violations.allSatisfy { $0.contains("others have") })
    }

    @Test("sees a message that nobody has sent, and one with other words")
    func invented() {
        var checker = self.told(5)
        checker.hears(self.message(6, "eve", 1), reader: "bob")
        checker.sends("ann says 7", as: "ann-7", by: "ann")
        var other = self.message(7)
        other.content = "ann says nothing"
        checker.hears(other, reader: "bob")
        #expect(checker.violations.count == 2)
        #expect(checker.violations[0].hasSuffix("which nobody has sent"))
        #expect(checker.violations[1].hasSuffix("and what was sent is \"ann says 7\""))
    }

    @Test("sees who was not shown everything, and a history that nobody has read")
    func incomplete() {
        var checker = self.told(5)
        checker.resumes("carol", in: "c", after: 4)
        checker.resumes("dave", in: "d", after: 0)
        checker.sends("hello", as: "dave-1", by: "dave")
        checker.hears(HistoryChecker.Message(1, by: "dave", as: "dave-1", "hello", at: "noon"), reader: "dave")
        #expect(self.verdict(of: checker) == ["d: nobody has read its history", "c: carol was shown 4 messages of 5"])
    }

    /// What Ann makes of her second message.
    private func amended(_ content: String, _ state: HistoryChecker.Message.State) -> HistoryChecker.Message {
        HistoryChecker.Message(2, by: "ann", as: "ann-2", content, at: "noon", state)
    }

    @Test("takes edits and deletions that the author wanted, also from those who were not there")
    func amendments() {
        var checker = self.told(3)
        checker.amends(2, in: "c", to: "ann says no")
        for reader in ["ann", "bob"] { checker.hearsAmended(self.amended("ann says no", .edited), reader: reader) }
        checker.resumes("carol", in: "c", after: 1)
        checker.hears(self.amended("ann says no", .edited), reader: "carol")
        checker.hears(self.message(3), reader: "carol")
        checker.amends(2, in: "c", to: nil)
        for reader in ["ann", "bob", "carol"] { checker.hearsAmended(self.amended("", .deleted), reader: reader) }
        var history = self.history(1...3)
        history[1].content = ""
        history[1].state = .deleted
        checker.reads(history, of: "c", through: "n1")
        #expect(self.verdict(of: checker) == [])
    }

    @Test("sees words that are back after their deletion, with a reader and in a history")
    func deletedIsBack() {
        var checker = self.told(3)
        checker.amends(2, in: "c", to: nil)
        checker.hearsAmended(self.amended("", .deleted), reader: "bob")
        checker.resumes("bob", in: "c", after: 1)
        checker.hears(self.message(2), reader: "bob")
        checker.reads(self.history(1...3), of: "c", through: "n2")
        #expect(
            checker.violations == [
                "c: bob (n1 after 1) was shown message 2 as sent after it was deleted",
                "c: the history through n2 has message 2 as sent, and it was deleted",
            ])
    }

    @Test("sees an edit and a deletion that nobody wanted")
    func unwanted() {
        var checker = self.told(3)
        checker.amends(2, in: "c", to: "ann says no")
        checker.hearsAmended(self.amended("ann says yes", .edited), reader: "bob")
        checker.hearsAmended(self.amended("", .deleted), reader: "bob")
        #expect(checker.violations.count == 2)
        #expect(checker.violations.allSatisfy { $0.hasSuffix("which nobody wanted") })
    }

    @Test("says once of a message that was shown that an empty one of nobody's stands in its place")
    func replaced() {
        var checker = self.told(3)
        var history = self.history(1...3)
        history[1] = HistoryChecker.Message(2, by: "nobody", as: nil, "", at: "midnight", .deleted)
        checker.reads(history, of: "c", through: "n1")
        checker.reads(history, of: "c", through: "n2")
        #expect(checker.violations.count == 1)
        #expect(checker.violations.first?.hasPrefix("c: message 2, \"ann says 2\" by ann (ann-2, noon), was shown and is lost") == true)
    }
}
