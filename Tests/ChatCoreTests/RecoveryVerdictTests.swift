import Bytes
import ChatModel
import Testing

@testable import ChatCore

/// What an owner retains, what others offer, what the store holds and what subscribers have
/// received, and the changes that are written: in the notation of `RetainedWrite+Text.swift`.
struct VerdictCase: Sendable, CustomTestStringConvertible {
    let testDescription: String
    var stored: String
    var own = ""
    var offered: [String] = []
    var published: (revision: Revision, head: SequenceNumber) = (0, 0)
    /// Nil if the owner must await other holders.
    var written: String?
    /// How many changes are written in place, moved and lost.
    var counts: [Int] = [0, 0, 0]
    var mayAwaitHolders = false

    var verdict: Recovery.RecoveryVerdict {
        var store = StoreFixture()
        for write in RetainedWrite.history(self.stored) {
            store.write(write.change, write.revision)
        }
        var members = MemberTable()
        for member in store.members { _ = members.insert(member, isMember: true) }
        let recovery = Recovery(
            own: RetainedWrite.history(self.own), mixedThrough: 0,
            offered: self.offered.map(RetainedWrite.history),
            stored: HistoryState(
                record: store.record, members: members, pins: store.pins,
                head: store.messages.count, revision: store.revision),
            published: PublishedThrough(
                revision: self.published.revision, head: self.published.head),
            margin: 100, mayAwaitHolders: self.mayAwaitHolders,
            now: Timestamp(milliseconds: 9000))
        var verdict = recovery.verdict()
        while case .read(let sequence, let limit, let isNewestOnly) = verdict {
            verdict = recovery.verdict(
                store.page(after: sequence, limit: limit), isNewestOnly: isNewestOnly)
        }
        return verdict
    }
}

@Suite("The verdict about a store")
struct RecoveryVerdictTests {
    private func check(_ row: VerdictCase) {
        guard case .rewrite(let history) = row.verdict else {
            #expect(row.written == nil)
            return
        }
        let first = RetainedWrite.history(row.stored).count + 1
        let written = history.changes.enumerated().map {
            RetainedWrite(revision: first + $0.offset, change: $0.element, storedAt: 0).text
        }
        #expect(written.joined(separator: " ") == row.written)
        let counts = [history.counts.inPlace, history.counts.moved, history.counts.lost]
        #expect(counts == row.counts)
        #expect(history.state.revision == first - 1 + written.count)
    }

    @Test(
        "one history: every kind of change is written again under its own numbers",
        arguments: [
            VerdictCase(
                testDescription: "the store has everything", stored: "1:create 2:a1 3:a1+",
                own: "2:a1 3:a1+", written: ""),
            VerdictCase(
                testDescription: "it lost messages, members and amendments",
                stored: "1:create 2:a1", own: "2:a1 3:join 4:b2 5:a1+ 6:b2^ 7:a1* 8:b2- 9:leave",
                written: "3:join 4:b2 5:a1+ 6:b2^ 7:a1* 8:b2- 9:leave", counts: [7, 0, 0]),
            VerdictCase(
                testDescription: "it lost everything", stored: "", own: "1:create 2:a1 3:end",
                written: "1:create 2:a1 3:end", counts: [3, 0, 0]),
            VerdictCase(
                testDescription: "an unacknowledged reaction is not written again",
                stored: "1:create 2:a1", own: "2:a1 3:a1+?", written: ""),
        ])
    func oneHistory(_ row: VerdictCase) { self.check(row) }

    @Test(
        "lost numbers are filled, once other holders had time to offer what they retain",
        arguments: [
            VerdictCase(
                testDescription: "subscribers have received more", stored: "1:create 2:a1",
                published: (5, 3), written: "3:lost2 4:lost3 5:skip", counts: [0, 0, 3]),
            VerdictCase(
                testDescription: "holders are queried first", stored: "1:create 2:a1",
                published: (5, 3), mayAwaitHolders: true),
            VerdictCase(
                testDescription: "a holder has the last change only", stored: "1:create 2:a1",
                offered: ["5:d4"], published: (5, 4), written: "3:lost2 4:lost3 5:d4",
                counts: [1, 0, 2]),
            VerdictCase(
                testDescription: "a holder has only the amended form of a message",
                stored: "1:create", own: "3:a1*", published: (3, 1), written: "2:a1 3:a1*",
                counts: [1, 0, 1]),
            VerdictCase(
                testDescription: "a reaction's message is lost too", stored: "1:create",
                own: "3:a1+", written: "2:skip 3:a1", counts: [0, 1, 1]),
        ])
    func lost(_ row: VerdictCase) { self.check(row) }

    @Test(
        "two masters: a change follows the message that it changed, and is written once",
        arguments: [
            VerdictCase(
                testDescription: "a message, its reaction and its pin get another number",
                stored: "1:create 2:x1", own: "2:a1 3:a1+ 4:a1^",
                written: "3:a2' 4:a2'+ 5:a2'^", counts: [0, 3, 0]),
            VerdictCase(
                testDescription: "a reaction to a common message", stored: "1:create 2:a1 3:x2",
                own: "2:a1 3:a1+", written: "4:a1+", counts: [0, 1, 0]),
            VerdictCase(
                testDescription: "both masters have the reaction", stored: "1:create 2:a1 3:a1+",
                offered: ["2:a1 3:b2 4:a1+"], written: "4:b2", counts: [0, 1, 0]),
            VerdictCase(
                testDescription: "the other master deleted the message",
                stored: "1:create 2:a1 3:a1-",
                own: "2:a1 3:a1+ 4:a1^ 5:a1*", written: ""),
            VerdictCase(
                testDescription: "the send was accepted by both", stored: "1:create 2:x1 3:a2",
                own: "2:a1 3:a1+", written: "4:a2+", counts: [0, 1, 0]),
            VerdictCase(
                testDescription: "a lost deletion wins over the other master's reaction",
                stored: "1:create 2:a1 3:a1+", own: "2:a1 3:a1-", written: "4:a1-",
                counts: [0, 1, 0]),
            VerdictCase(
                testDescription: "a message that was deleted is moved without its text",
                stored: "1:create 2:x1", own: "2:a1 3:a1-", written: "3:a2'", counts: [0, 1, 0]),
        ])
    func twoMasters(_ row: VerdictCase) { self.check(row) }

    @Test("a displaced reply has the thread that its target has here")
    func thread() throws {
        // There, b answered a. Here, b is a message of its own.
        let reply = try Self.moved(
            stored: "1:create 2:x1 3:b2'",
            own: [
                RetainedWrite("2:a1"), Self.reply("3:b2", to: 1, thread: 1),
                Self.reply("4:c3", to: 2, thread: 1),
            ])
        #expect(reply.sequence == 4)
        #expect(reply.body.annotations?.reply == Reply(to: 2, thread: 2))
    }

    @Test("a displaced reply to a lost message is a message of its own")
    func replyToLostMessage() throws {
        let message = try Self.moved(
            stored: "1:create 2:x1",
            own: [RetainedWrite("2:lost1"), Self.reply("3:b2", to: 1, thread: 1)])
        #expect(message.sequence == 2)
        #expect(message.body.annotations?.reply == nil)
    }

    private static func reply(
        _ text: String, to target: SequenceNumber, thread: SequenceNumber
    ) -> RetainedWrite {
        var message = RetainedWrite(text).message!
        message.body = message.body.with(
            MessageAnnotations(reply: Reply(to: target, thread: thread), mentions: nil))
        return RetainedWrite(revision: message.revision, change: .message(message), storedAt: 0)
    }

    /// The last message that is written if the other master's history is stored.
    private static func moved(stored: String, own: [RetainedWrite]) throws -> Message {
        var store = StoreFixture()
        for write in RetainedWrite.history(stored) { store.write(write.change, write.revision) }
        let recovery = Recovery(
            own: own, mixedThrough: 0, offered: [],
            stored: HistoryState(
                record: store.record, head: store.messages.count, revision: store.revision),
            published: PublishedThrough(), margin: 100, mayAwaitHolders: false,
            now: Timestamp(milliseconds: 9000))
        let verdict = recovery.verdict(store.page(after: 0, limit: 9), isNewestOnly: false)
        guard case .rewrite(let history) = verdict else {
            throw NothingWritten()
        }
        return try #require(history.changes.last?.message)
    }

    private struct NothingWritten: Error {}
}
