import Bytes
import ChatModel
import StoreTestSupport
import TestTraits
import Testing

@testable import RedisClient
@testable import RedisStore

@Suite("The arguments of a script", .ownThread)
struct ScriptArgumentsTests {
    private static let script = RedisScript("return 1")
    private static let ann = UserID(tokenSubject: "ann")

    /// A change as text, and the arguments that the write script gets for it at revision 4.
    struct ChangeCase: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let change: Write.Change
        let arguments: [String]
    }

    /// The arguments after EVALSHA and the digest.
    private func arguments(_ write: (inout RedisCommandWriter) -> Void) throws -> [String] {
        var writer = RedisCommandWriter(into: ByteBuffer(capacity: 64))
        write(&writer)
        let parts = writer.finish().text.split(separator: "\r\n", omittingEmptySubsequences: false)
        // Each argument follows its size.
        return stride(from: 2, to: parts.count, by: 2).map { String(parts[$0]) }
    }

    private static func writes(_ texts: String) -> [Write] {
        texts.split(separator: " ").map { text in
            let fields = text.split(separator: "/")
            let change: Write.Change =
                switch fields[3] {
                case "end": .end(at: Timestamp(milliseconds: 70))
                case "read": .cursors(Self.ann, read: 3, delivered: 5)
                default: .skip
                }
            return Write(
                conversation: ConversationKey(tenant: "t", id: ByteString(String(fields[0]))),
                shard: 5, epoch: Int(fields[1])!, revision: Int(fields[2])!, change: change)
        }
    }

    private func command(
        _ writes: [Write], _ positions: [Int]? = nil, namesAllKeys: Bool = false,
        publications: [Publication] = []
    ) throws -> [String] {
        var batch = WriteBatch(owner: LoopID(incarnation: 1, loop: 0), writes: writes)
        batch.publications = publications
        let arguments = ScriptArguments(
            keys: StoreKeys(cluster: "p"), history: 90, namesAllKeys: namesAllKeys)
        let all = try self.arguments {
            arguments.append(
                batch, positions ?? Array(writes.indices), at: Timestamp(milliseconds: 60),
                to: &$0, script: Self.script)
        }
        #expect(all.prefix(2) == ["EVALSHA", Self.script.digest.string])
        return Array(all.dropFirst(2))
    }

    @Test(
        "name a conversation once for adjacent writes under one epoch",
        arguments: [
            // Writes as conversation/epoch/revision/change; the keys; the arguments after 1.0 90 0.
            ("a/7/2/skip", "1 a", "7 1 s 2"),
            ("a/7/2/skip a/7/3/end", "1 a", "7 2 s 2 e 3 70"),
            ("a/7/2/skip b/7/2/skip a/7/3/end", "3 a b a", "7 1 s 2 7 1 s 2 7 1 e 3 70"),
            ("a/7/2/skip a/8/3/skip", "2 a a", "7 1 s 2 8 1 s 3"),
            // Adjacent cursors are one write with their count.
            (
                "a/7/0/read a/7/0/read a/7/2/skip a/7/0/read", "1 a",
                "7 4 r 2 ann 3 5 ann 3 5 s 2 r 1 ann 3 5"
            ),
            ("a/7/0/read b/7/0/read", "2 a b", "7 1 r 1 ann 3 5 7 1 r 1 ann 3 5"),
        ])
    func runs(writes: String, keys: String, arguments: String) throws {
        let names = keys.split(separator: " ").enumerated().map { index, name in
            index == 0 ? String(name) : "p:{s5}:conv:t:\(name)"
        }
        #expect(
            try self.command(Self.writes(writes))
                == names + ["1.0", "90", "0"] + arguments.split(separator: " ").map(String.init))
    }

    @Test("contain only the writes at the given positions")
    func positions() throws {
        let writes = Self.writes("a/7/2/skip b/7/2/skip a/7/3/end")
        let arguments = try self.command(writes, [0, 2])
        #expect(
            arguments == [
                "1", "p:{s5}:conv:t:a", "1.0", "90", "0", "7", "2", "s", "2", "e", "3", "70",
            ])
    }

    @Test("name every key in Redis Cluster, because a slot may be moving")
    func allKeys() throws {
        let arguments = try self.command(
            Self.writes("a/7/2/skip b/7/2/skip"), namesAllKeys: true)
        #expect(
            arguments.prefix(14) == [
                "13", "p:{s5}:conv:t:a", "p:{s5}:conv:t:b", "p:{s5}:lease", "p:{s5}:log:t:a",
                "p:{s5}:members:t:a", "p:{s5}:amend:t:a", "p:{s5}:threads:t:a",
                "p:{s5}:pins:t:a", "p:{s5}:log:t:b", "p:{s5}:members:t:b",
                "p:{s5}:amend:t:b", "p:{s5}:threads:t:b", "p:{s5}:pins:t:b",
            ])
    }

    @Test("contain the publications before the writes")
    func publications() throws {
        let arguments = try self.command(
            Self.writes("a/7/2/skip"),
            publications: [
                Publication(channel: "one", payload: [0x31]),
                Publication(channel: "two", payload: [0x32]),
            ])
        #expect(arguments.dropFirst(4) == ["2", "one", "1", "two", "2", "7", "1", "s", "2"])
    }

    private static func message(
        _ sequence: SequenceNumber, metadata: [UInt8]? = nil,
        _ annotations: MessageAnnotations? = nil
    ) -> Message {
        Message(
            sequence: sequence, revision: 4, sentAt: Timestamp(milliseconds: 60), state: .edited,
            body: MessageBody(
                author: Person(id: Self.ann, name: "Ann"),
                clientMessageID: ClientMessageID(given: "id"), content: "hello",
                metadata: metadata, annotations: annotations))
    }

    private static let reply = MessageAnnotations(
        reply: Reply(to: 2, thread: 1), mentions: Mentions(users: [UserID(tokenSubject: "bob b")]))
    private static let marks = MessageAnnotations(
        reply: Reply(to: 2, thread: 1), mentions: nil,
        reactions: Reactions([Reactions.UserGroup(Emoji(stored: "❤"), users: [ann])]),
        pin: PinState(
            isPinned: true, by: Person(id: ann, name: "Ann"), at: Timestamp(milliseconds: 65)))
    private static let restricted = ConversationRecord(
        .unlisted, title: "Room", pinPolicy: .creator, creator: ann,
        createdAt: Timestamp(milliseconds: 50))

    private static let record = ConversationRecord(
        .listed, title: "Room", creator: ann,
        createdAt: Timestamp(milliseconds: 50))

    private static let member = Member(
        user: ann, name: "Ann", agent: "bot", role: .admin, joinedAt: Timestamp(milliseconds: 50),
        readCursor: 3, deliveredCursor: 5)

    @Test(
        "contain a change in the script's order",
        arguments: [
            ChangeCase(
                testDescription: "a message", change: .message(message(3)),
                arguments: [
                    "m", "1 3 2 ", "1 4 3 60", "3-0", "4 60 1 3 3 2 0 0 annAnnidhello",
                ]),
            ChangeCase(
                testDescription: "a message after which the stream is trimmed",
                change: .message(message(64)),
                arguments: [
                    "t", "1 3 63 ", "1 4 64 60", "64-0", "4 60 1 3 3 2 0 0 annAnnidhello",
                ]),
            ChangeCase(
                testDescription: "an edit",
                change: .amend(
                    message(3), .edited(content: "hello"), at: Timestamp(milliseconds: 70)),
                arguments: ["a", "4", "3", "70", "1 5 0 hello", ""]),
            ChangeCase(
                testDescription: "a reply with a mention", change: .message(message(3, reply)),
                arguments: [
                    "n", "1 3 2 ", "1 4 3 60", "3-0", "4 60 1 3 3 2 0 0 annAnnidhello",
                    "2 1 1 8 bob%20b ", "0000000000000001:0000000000000003", "", "", "",
                ]),
            ChangeCase(
                testDescription: "a message with a mention, after which the stream is trimmed",
                change: .message(
                    message(
                        64,
                        MessageAnnotations(
                            reply: nil,
                            mentions: Mentions(includesEveryone: true, nonMembers: [ann])))),
                arguments: [
                    "n", "1 3 63 ", "1 4 64 60", "64-0", "4 60 1 3 3 2 0 0 annAnnidhello",
                    "0 0 2 0 ann ", "", "1", "", "",
                ]),
            ChangeCase(
                testDescription: "a reaction to a pinned message, which is no activity",
                change: .amend(message(3, marks), .reacted([]), at: nil),
                arguments: [
                    "a", "4", "3", "", "1 5 0 hello14 15 1 3 1 ❤3 ann1 65 3 3 annAnn",
                    "35 8 2 1 0 0 0 60 0 3 3 2 0 0 annAnnid"
                        + "4 1 5 0 hello14 15 1 3 1 ❤3 ann1 65 3 3 annAnn",
                ]),
            ChangeCase(
                testDescription: "a creation with a pin policy", change: .create(restricted),
                arguments: [
                    "c", "4", "50", "", "", "", "9", "origin", "conversations", "access", "1",
                    "listed", "", "pinning", "1", "title", "Room", "details", "", "creator", "ann",
                    "created", "50", "ended", "",
                ]),
            ChangeCase(
                testDescription: "a creation in the catalog", change: .create(record),
                arguments: [
                    "c", "4", "50", "p:{t:t}:rooms", "50", "a", "9", "origin", "rooms", "access",
                    "1", "listed", "1", "pinning", "", "title", "Room", "details", "", "creator",
                    "ann", "created", "50", "ended", "",
                ]),
            ChangeCase(
                testDescription: "a change of properties", change: .update(restricted),
                arguments: [
                    "u", "4", "", "", "", "", "4", "access", "1", "listed", "", "title", "Room",
                    "details", "",
                ]),
            ChangeCase(
                testDescription: "a member, indexed by the time of the write",
                change: .member(member),
                arguments: [
                    "j", "4", "ann", "2", "50", "3", "5", "Ann\nbot", "p:{u:t:ann}:convs", "60",
                    "a",
                ]),
            ChangeCase(
                testDescription: "a departure", change: .remove(ann), arguments: ["d", "4", "ann"]),
        ])
    func changes(_ row: ChangeCase) throws {
        let write = Write(
            conversation: ConversationKey(tenant: "t", id: "a"), shard: 5, epoch: 7, revision: 4,
            change: row.change)
        #expect(try self.command([write]).dropFirst(7) == row.arguments[...])
        // In Redis Cluster the index entry lies in another slot, and is written before.
        var inCluster = row.arguments
        if let entry = inCluster.firstIndex(where: { $0.hasPrefix("p:{") }) {
            inCluster.replaceSubrange(entry..<entry + 3, with: ["", "", ""])
        }
        #expect(try self.command([write], namesAllKeys: true).dropFirst(13) == inCluster[...])
    }

    @Test("add an index entry that is never moved back")
    func indexEntry() throws {
        let write = Write(
            conversation: ConversationKey(tenant: "t", id: "a"), shard: 5, epoch: 7, revision: 4,
            change: .member(Self.member))
        let entry = try #require(IndexEntry(write, at: Timestamp(milliseconds: 60)))
        let arguments = ScriptArguments(
            keys: StoreKeys(cluster: "p"), history: 90, namesAllKeys: true)
        #expect(
            try self.arguments { arguments.appendCommand(for: entry, to: &$0) }
                == ["ZADD", "p:{u:t:ann}:convs", "GT", "60", "a"])
    }

    @Test(
        "of a reading script begin with the conversation and the history's length",
        arguments: [
            (false, ["1", "p:{s5}:conv:t:a", "90"]),
            (
                true,
                [
                    "6", "p:{s5}:conv:t:a", "p:{s5}:log:t:a", "p:{s5}:members:t:a",
                    "p:{s5}:amend:t:a", "p:{s5}:threads:t:a", "p:{s5}:pins:t:a", "90",
                ]
            ),
        ])
    func reading(namesAllKeys: Bool, expected: [String]) throws {
        let arguments = ScriptArguments(
            keys: StoreKeys(cluster: "p"), history: 90, namesAllKeys: namesAllKeys)
        let all = try self.arguments {
            arguments.append(
                Self.script, of: ConversationKey(tenant: "t", id: "a"), in: 5, to: &$0)
        }
        #expect(all.dropFirst(2) == expected[...])
    }
}
