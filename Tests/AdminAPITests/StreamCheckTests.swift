import Bytes
import ChatModel
import ClusterWire
import Gateway
import JSON
import NodeLink
import Testing

@testable import AdminAPI

@Suite("A stream's check")
struct StreamCheckTests {
    private static func message(
        _ number: Int, revision: Int? = nil, _ state: Message.State = .asSent
    ) -> Message {
        let author = Person(id: UserID(tokenSubject: "alice"), name: "Alice")
        return Message(
            sequence: number, revision: revision ?? number + 1, sentAt: Timestamp(milliseconds: 0),
            state: state,
            body: MessageBody(author: author, clientMessageID: nil, content: "x"))
    }

    /// The faults of a stream of these messages, read in pages of two.
    private static func faults(
        _ messages: [Message], oldest: Int = 1, head: Int? = nil, revision: Int = 100,
        owner: Int? = nil
    ) -> [String] {
        var check = StreamCheck()
        let head = head ?? messages.last?.sequence ?? 0
        check.begin(oldest: oldest)
        for start in stride(from: 0, to: messages.count, by: 2) {
            let part = Array(messages[start..<min(start + 2, messages.count)])
            check.check(MessagePage(messages: part, head: head, oldest: oldest, revision: revision))
        }
        check.check(MessagePage(messages: [], head: head, oldest: oldest, revision: revision))
        check.finish()
        if let owner { check.compare(ownerHead: owner, ownerRevision: revision + 1) }
        return check.faults
    }

    @Test("finds no faults in a complete stream, even if it is empty, trimmed or edited")
    func whole() {
        #expect(Self.faults((1...5).map { Self.message($0) }, owner: 5) == [])
        #expect(Self.faults((8...12).map { Self.message($0) }, oldest: 8) == [])
        #expect(Self.faults([]) == [])
        #expect(Self.faults([], oldest: 8, head: 7, owner: 7) == [])
        #expect(
            Self.faults([
                Self.message(1), Self.message(2, revision: 9, .edited), Self.message(3),
                Self.message(4, revision: 8, .deleted),
            ])
                == [])
        // Reactions raise a message's revision, as an edit does.
        let reacted = Self.message(1).reacted(with: Reactions(), revision: 9)
        #expect(Self.faults([reacted, Self.message(2), Self.message(3)]) == [])
    }

    @Test("finds gaps, duplicates and wrong order")
    func broken() {
        #expect(Self.faults([Self.message(1), Self.message(3)]) == ["message 2 is missing"])
        #expect(
            Self.faults([Self.message(1), Self.message(2), Self.message(6)]) == [
                "messages 3 to 5 are missing"
            ])
        #expect(
            Self.faults([Self.message(2)], oldest: 1) == [
                "the oldest message is 2; 1 should be retained"
            ])
        #expect(
            Self.faults([Self.message(1), Self.message(1, revision: 5)]) == [
                "message 1 comes after 1"
            ])
        #expect(
            Self.faults([Self.message(1, revision: 7), Self.message(2, revision: 6)])
                == ["message 2 has revision 6, no higher than one before it"])
        #expect(
            Self.faults([Self.message(1), Self.message(2, revision: 2, .edited)]) == [
                "revision 2 belongs to two messages"
            ])
        #expect(
            Self.faults([Self.message(1)], revision: 1) == [
                "message 1 has revision 2, above the stream's 1"
            ])
    }

    @Test("continues after an unreadable message, and reports only that one")
    func skipped() {
        for first in [1, 2] {
            var check = StreamCheck()
            check.begin(oldest: 1)
            for number in 1...3 {
                if number == first {
                    check.skip(number, "message \(number) is nonsense")
                } else {
                    check.check(
                        MessagePage(
                            messages: [Self.message(number)], head: 3, oldest: 1, revision: 4))
                }
            }
            check.finish()
            #expect(check.faults == ["message \(first) is nonsense"])
        }
    }

    @Test("finds an end that differs from the owner or from the head")
    func end() {
        #expect(Self.faults([Self.message(1)], head: 3) == ["the stream ends at 1; its head is 3"])
        #expect(
            Self.faults([Self.message(1)], owner: 2) == [
                "the owner is at message 2; the stream ends at 1"
            ])
        #expect(
            Self.faults([Self.message(1), Self.message(2)], owner: 1) == [
                "the owner is at message 1; the stream continues to 2"
            ])
    }

    @Test("reports at most twenty faults")
    func bound() {
        #expect(
            Self.faults((1...100).map { Self.message($0 * 2) }, oldest: 2).count
                == StreamCheck.faultLimit)
    }
}

@Suite("Formats of the admin API")
struct ClusterAdminFormatTests {
    @Test("the fields of Redis' INFO are read, and everything else is ignored")
    func redis() {
        let info = RedisInfo(
            """
            # Server\r\nredis_version:7.0.15\r\nrole:master\r\n\r\nconfig_file:/a:b\r\nnonsense\r\n
            """
        )
        #expect(info["redis_version"] == "7.0.15")
        #expect(info["role"] == "master")
        #expect(info["config_file"] == "/a:b")
        #expect(info["nonsense"] == nil)
    }

    @Test("queries are decoded")
    func query() throws {
        let query = try QueryParameters("conversation=a%2Fb+c&last=20&empty=&flag")
        #expect(query["conversation"] == "a/b c")
        #expect(query["empty"] == "" && query["flag"] == "" && query["other"] == nil)
        #expect(throws: (any Error).self) { try QueryParameters("a=%ZZ") }
    }

    @Test("the 99th percentile of a few values is the largest, and of a hundred the second largest")
    func lag() {
        #expect([UInt64]().percentile99 == nil)
        #expect(([3, 9, 1] as [UInt64]).percentile99 == 9)
        #expect((1...100).map(UInt64.init).percentile99 == 99)
    }

    @Test("shard rows are read as written, also those of a later version")
    func shardRows() throws {
        let text = "[4095,7,3,1700000000123,2.5]"
        let line = try #require(ShardRow(try JSONTree(parsing: text)))
        #expect(
            line.shard == 4095 && line.epoch == 7 && line.conversations == 3
                && line.messages == "2.5")
        #expect(line.since == Timestamp(milliseconds: 1_700_000_000_123))
        #expect(line.tree.text == text)
        #expect(ShardRow(try JSONTree(parsing: "[1,1,0,null,0,\"more\"]"))?.since == nil)
        let unclaimed = "[1,null,2,null,0]"
        #expect(ShardRow(try JSONTree(parsing: unclaimed))?.tree.text == unclaimed)
        for text in ["[4096,1,0,null,0]", "[1,1,0]", "{}", "[1,\"one\",0,null,0]"] {
            #expect(ShardRow(try JSONTree(parsing: text)) == nil, "\(text)")
        }
    }

    @Test("events have the node's name and the operator's action")
    func events() {
        let joins = NodeLink.Event(
            id: "1700000000123-0",
            details: [
                .init("event", "joins"), .init("node", "z"), .init("name", ""), .init("view", "3"),
            ])
        #expect(
            joins.row(node: joins.nodeName(among: [])) == [
                "id": "1700000000123-0", "timestamp": "2023-11-14T22:13:20.123Z", "event": "joins",
                "node": .null, "operator": .null, "view": 3, "detail": .null,
            ])
        let named = NodeLink.PeerNode(
            incarnation: 35,
            record: NodeRecord(
                incarnation: 35, name: "n9", address: "here:1", host: "h", version: "1",
                loops: 1, startedAt: Timestamp(milliseconds: 0)),
            isDraining: false, silentFor: nil, evictedFor: nil)
        #expect(joins.row(node: joins.nodeName(among: [named]))["node"] == "n9")
        let drain = NodeLink.Event(
            id: "5-1",
            details: [
                .init("event", "drain"), .init("name", "n1"), .init("operator", "ops"),
                .init("detail", "4 connections to be closed within 0.5 s"),
            ])
        #expect(
            drain.row(node: drain.nodeName(among: []))["detail"]
                == "4 connections to be closed within 0.5 s")
        #expect(drain.row(node: drain.nodeName(among: []))["node"] == "n1")
        #expect(drain.row(node: drain.nodeName(among: []))["operator"] == "ops")
        for (id, isOne) in [
            ("0", true), ("17-2", true), ("", false), ("-", false), ("1-2-3", false), ("+", false),
            ("(1", false),
        ] {
            #expect(EventVerbs.isEventID(id) == isOne, "\(id)")
        }
    }
}
