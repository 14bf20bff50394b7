import ChatModel
import Testing

@testable import ChatCore

/// Two histories and the verdict, in the notation of `RetainedWrite+Text.swift`.
struct ReconciliationCase: Sendable, CustomTestStringConvertible {
    let testDescription: String
    var own = ""
    var offered: [String] = []
    let stored: String
    /// The page begins with this message.
    var pageStart: SequenceNumber = 1
    /// If set, the page has only this many messages, and does not contain all later ones.
    var pageLimit: Int?
    /// How many of the owner's changes the store has, counted to the last one.
    var storedCount = 0
    var lost: [Int] = []
    var missing = ""
    var displaced = ""

    var reconciliation: HistoryReconciliation {
        var store = StoreFixture()
        for write in RetainedWrite.history(self.stored) {
            store.write(write.change, write.revision)
        }
        return HistoryReconciliation(
            own: RetainedWrite.history(self.own), offered: self.offered.map(RetainedWrite.history),
            state: HistoryState(record: store.record, revision: store.revision),
            messages: StoredMessageIndex(
                store.page(after: self.pageStart - 1, limit: self.pageLimit ?? .max),
                isWhole: self.pageLimit == nil))
    }
}

@Suite("Reconciling retained changes with the store")
struct HistoryReconciliationTests {
    private func check(_ row: ReconciliationCase) {
        let reconciliation = row.reconciliation
        #expect(reconciliation.ownStoredCount == row.storedCount)
        #expect(reconciliation.ownLostIndices == row.lost)
        #expect(reconciliation.missing.map(\.text).joined(separator: " ") == row.missing)
        #expect(reconciliation.displaced.map(\.text).joined(separator: " ") == row.displaced)
    }

    @Test(
        "one history: what the store lost is written again under its own number",
        arguments: [
            ReconciliationCase(
                testDescription: "nothing is retained", stored: "1:create 2:a1"),
            ReconciliationCase(
                testDescription: "the store has everything", own: "1:create 2:a1 3:join 4:a1*",
                stored: "1:create 2:a1 3:join 4:a1*", storedCount: 4),
            ReconciliationCase(
                testDescription: "the store has more", own: "2:a1", stored: "1:create 2:a1 3:b2",
                storedCount: 1),
            ReconciliationCase(
                testDescription: "the store lost the last changes", own: "2:a1 3:b2 4:b2- 5:end",
                stored: "1:create 2:a1", storedCount: 1, missing: "3:b2 4:b2- 5:end"),
            ReconciliationCase(
                testDescription: "the store lost everything", own: "1:create 2:join 3:a1",
                stored: "", missing: "1:create 2:join 3:a1"),
            ReconciliationCase(
                testDescription: "an unacknowledged change is not written again",
                own: "2:a1 3:b2?", stored: "1:create 2:a1", storedCount: 1),
            ReconciliationCase(
                testDescription: "an unacknowledged change may be stored", own: "2:a1?",
                stored: "1:create 2:a1", storedCount: 1),
            ReconciliationCase(
                testDescription: "another edit may follow an edit", own: "3:a1*",
                stored: "1:create 2:a1 3:a1* 4:a1*", storedCount: 1),
            ReconciliationCase(
                testDescription: "a deletion may follow an edit", own: "3:a1*",
                stored: "1:create 2:a1 3:a1* 4:a1-", storedCount: 1),
            ReconciliationCase(
                testDescription: "the end is stored", own: "3:end",
                stored: "1:create 2:a1 3:end", storedCount: 1),
        ])
    func oneHistory(_ row: ReconciliationCase) { self.check(row) }

    @Test(
        "two masters: what the store has under the same numbers stays, and the rest is displaced",
        arguments: [
            ReconciliationCase(
                testDescription: "another message has the number", own: "2:a1 3:b2",
                stored: "1:create 2:a1 3:x2", storedCount: 1, displaced: "3:b2"),
            ReconciliationCase(
                testDescription: "both masters accepted one send", own: "2:a1",
                stored: "1:create 2:a1'", displaced: "2:a1"),
            ReconciliationCase(
                testDescription: "another conversation has the name", own: "1:create 2:a1",
                stored: "1:create' 2:x1", displaced: "1:create 2:a1"),
            ReconciliationCase(
                testDescription: "a membership has the message's revision", own: "2:a1",
                stored: "1:create 2:join", displaced: "2:a1"),
            ReconciliationCase(
                testDescription: "everything after the common part counts as displaced",
                own: "2:a1 3:b2 4:join 5:c3", stored: "1:create 2:a1 3:x2 4:y3", storedCount: 1,
                displaced: "3:b2 4:join 5:c3"),
            ReconciliationCase(
                testDescription: "an unacknowledged change is never displaced", own: "2:a1 3:b2?",
                stored: "1:create 2:x1 3:y2", displaced: "2:a1"),
            ReconciliationCase(
                testDescription: "an edit is lost", own: "2:a1 3:a1*",
                stored: "1:create 2:a1 3:join", storedCount: 1, displaced: "3:a1*"),
            ReconciliationCase(
                testDescription: "no later edit can follow a deletion", own: "2:a1 3:a1-",
                stored: "1:create 2:a1 3:join 4:a1*", storedCount: 1, displaced: "3:a1-"),
            ReconciliationCase(
                testDescription: "the end is lost", own: "2:a1 3:end",
                stored: "1:create 2:a1 3:x2", storedCount: 1, displaced: "3:end"),
            ReconciliationCase(
                testDescription: "merged histories are the same further up",
                own: "2:a1 3:b2 4:c3 5:d4", stored: "1:create 2:a1 3:x2 4:c3", storedCount: 3,
                lost: [1], missing: "5:d4", displaced: "3:b2"),
            ReconciliationCase(
                testDescription: "merged histories part again", own: "2:a1 3:b2 4:c3 5:d4",
                stored: "1:create 2:x1 3:b2 4:y3", storedCount: 2, lost: [0],
                displaced: "2:a1 4:c3 5:d4"),
        ])
    func twoMasters(_ row: ReconciliationCase) { self.check(row) }

    @Test(
        "former owners offer what this one does not know",
        arguments: [
            ReconciliationCase(
                testDescription: "an offer has the missing change", own: "2:a1",
                offered: ["3:b2"], stored: "1:create 2:a1", storedCount: 1, missing: "3:b2"),
            ReconciliationCase(
                testDescription: "two offers have one history in two parts",
                offered: ["4:c3 5:join", "3:b2 4:c3"], stored: "1:create 2:a1",
                missing: "3:b2 4:c3 5:join"),
            ReconciliationCase(
                testDescription: "an offer has nothing that the store lacks",
                offered: ["2:a1 3:b2"], stored: "1:create 2:a1 3:b2"),
            ReconciliationCase(
                testDescription: "an offered change is not acknowledged", offered: ["3:b2?"],
                stored: "1:create 2:a1"),
            ReconciliationCase(
                testDescription: "an offer has another message under a number of the owner",
                own: "3:b2", offered: ["3:x2 4:y3"], stored: "1:create 2:a1", missing: "3:b2",
                displaced: "3:x2 4:y3"),
            ReconciliationCase(
                testDescription: "an offer has one send, accepted by another master",
                own: "3:b2", offered: ["3:b2'"], stored: "1:create 2:a1", missing: "3:b2",
                displaced: "3:b2'"),
            ReconciliationCase(
                testDescription: "an offer has another history than the store", own: "2:a1",
                offered: ["2:x1 3:y2"], stored: "1:create 2:a1", storedCount: 1,
                displaced: "2:x1 3:y2"),
            ReconciliationCase(
                testDescription: "an offer was merged from two histories", own: "2:a1 3:b2",
                offered: ["2:x1 3:b2"], stored: "1:create 2:a1 3:b2", storedCount: 2,
                displaced: "2:x1"),
        ])
    func offers(_ row: ReconciliationCase) { self.check(row) }

    @Test(
        "what was not read is not judged",
        arguments: [
            ReconciliationCase(
                testDescription: "a message below the page", own: "2:a1 3:b2",
                stored: "1:create 2:x1 3:b2", pageStart: 2, storedCount: 2),
            ReconciliationCase(
                testDescription: "the only message is below the page", own: "2:a1",
                stored: "1:create 2:x1 3:b2", pageStart: 2, storedCount: 1),
            ReconciliationCase(
                testDescription: "a message above the one that was read", own: "3:b2 4:c3",
                stored: "1:create 2:a1 3:b2 4:x3", pageStart: 2, pageLimit: 1, storedCount: 2),
            ReconciliationCase(
                testDescription: "a message above the whole page", own: "3:b2 4:c3",
                stored: "1:create 2:a1 3:b2 4:x3", pageStart: 2, storedCount: 1,
                displaced: "4:c3"),
            ReconciliationCase(
                testDescription: "memberships", own: "2:join 3:leave",
                stored: "1:create 2:a1 3:b2", storedCount: 2),
        ])
    func unread(_ row: ReconciliationCase) { self.check(row) }

    @Test(
        "is incomplete until some holder has every published revision",
        arguments: [
            ("2:a1", 2, false), ("2:a1", 3, true),
            // The store lost two changes; the holder has both, only one, or only the later one.
            ("3:b2 4:c3", 4, false), ("3:b2", 4, true), ("4:c3", 4, true),
            ("3:b2 4:c3", 2, false),
            // A displaced change gets another revision and may be the published one.
            ("2:x1", 3, false), ("2:x1", 4, true), ("2:x1 3:b2", 4, false),
        ])
    func completeness(own: String, published: Revision, isIncomplete: Bool) {
        let row = ReconciliationCase(testDescription: "", own: own, stored: "1:create 2:a1")
        #expect(row.reconciliation.isIncomplete(through: published) == isIncomplete)
    }
}
