import Bytes
import ChatModel
import Testing

@testable import ChatCore

@Suite("An index of stored messages")
struct StoredMessageIndexTests {
    /// Messages in the notation of `RetainedWrite+Text.swift`. The page begins with message 2, and
    /// message 1 is older.
    private let index: StoredMessageIndex

    init() {
        var store = StoreFixture()
        for write in RetainedWrite.history("1:create 2:a1 3:b2 4:c3 5:c3*") {
            store.write(write.change, write.revision)
        }
        self.index = StoredMessageIndex(store.page(after: 1, limit: 10))
    }

    private static func message(_ text: String) -> Message { RetainedWrite("9:" + text).message! }

    @Test(
        "finds a message by its number and by its send",
        arguments: [
            // The message, the send that has its number, and the number of its send.
            ("b2", "b", 2), ("c3*", "c", 3), ("b2'", "b", 2), ("b3", "c", 2), ("b7", nil, 2),
            ("x2", "b", nil), ("a1", nil, nil),
        ] as [(String, String?, Int?)])
    func lookup(_ text: String, stored: String?, sequence: SequenceNumber?) {
        let message = Self.message(text)
        #expect(
            self.index[message.sequence]?.body.clientMessageID?.text.string == stored)
        #expect(self.index.sequence(of: message) == sequence)
    }

    @Test(
        "a message is displaced if its number is another message's, or no message's, or it has two",
        arguments: [
            ("b2", false), ("c3*", false), ("x2", true), ("b2'", true), ("x4", true),
            ("b1", true), ("a1", false),
        ])
    func displaced(_ text: String, isDisplaced: Bool) {
        #expect(self.index.isDisplaced(Self.message(text)) == isDisplaced)
    }

    @Test(
        "a message below the page has the same number in every history",
        arguments: [("a1", 1), ("b2", nil), ("x4", nil)] as [(String, Int?)])
    func older(_ text: String, sequence: SequenceNumber?) {
        #expect(self.index.sequenceIfOlder(Self.message(text)) == sequence)
    }

    @Test("an empty page of an empty history has no message below it")
    func emptyPage() {
        let page = MessagePage(messages: [], head: 0, oldest: 1, revision: 1)
        let index = StoredMessageIndex(page)
        #expect(index.sequenceIfOlder(Self.message("a1")) == nil)
        #expect(index.isDisplaced(Self.message("a1")))
        #expect(index.lastSentAt == 0)
        #expect(self.index.lastSentAt == 2003)
    }
}
