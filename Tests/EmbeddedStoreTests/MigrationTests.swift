import Bytes
import ChatModel
import Foundation
import StoreTestSupport
import TestKit
import Testing

@testable import EmbeddedStore

/// Data in an older layout is readable in the current one. The rows were written by the Confab of
/// that layout.
@Suite("A SQLite file with an older layout")
struct MigrationTests {
    private let folder: TemporaryFolder
    private var path: String { "\(self.folder.path)/confab.db" }

    init() throws {
        self.folder = try TemporaryFolder()
    }

    private func write(layout: Int, _ rows: String) throws {
        let connection = try SQLiteConnection(path: self.path, access: .readWrite)
        for step in 0..<layout { try connection.execute(Schema.steps[step]) }
        try connection.execute(
            "PRAGMA application_id = \(Schema.applicationID); PRAGMA user_version = \(layout)")
        try connection.execute(rows)
    }

    private static let layout1Rows = """
        INSERT INTO settings VALUES ('settled', 3, 8782914216836399248);
        INSERT INTO shards VALUES (2735, 1, -2795894114431219393, 0, -2772166769317848094);
        INSERT INTO conversations VALUES (1, 'acme', 'rex', 0, '', 'ann', 1795224713575, \
        1795224715558, NULL, 5, 1, -345982111718828695);
        INSERT INTO messages VALUES
            (1, 1, 1, 3, 1795224714553, 0, 'ann', 'ann''s name', NULL, '91ebebc836631d62-1', \
            'one', NULL, 1643754770974700700),
            (2, 1, 2, 4, 1795224715558, 0, 'ann', 'ann''s name', NULL, '91ebebc836631d62-2', \
            'two', NULL, -1061923207763605180),
            (3, 1, 3, 6, 1795224717586, 0, 'bob', 'bob''s name', NULL, 'ecdfc3f29c7f1979-1', \
            'three', NULL, -2417535647594808666);
        INSERT INTO places VALUES (1, 1, 1, 219721997357443), (1, 2, 2, 219721997357443), (1, 3, \
        3, 71173659107724);
        INSERT INTO members VALUES
            (1, 'ann', 'ann''s name', 1, 1795224713575, 0, 0, 3700436062200114165),
            (1, 'bob', 'bob''s name', 0, 1795224716609, 0, 0, 6600836933592435216);
        """

    @Test("1 gains lists of members, and keeps all other data")
    func fromLayout1() async throws {
        try self.write(layout: 1, Self.layout1Rows)
        var store = try LocalStore.sqlite(path: self.path, history: 100)
        let key = ConversationKey(tenant: "acme", id: "rex")
        let loaded = try #require(await store.load(key))
        #expect(loaded.record.origin == "conversations")
        #expect(loaded.record.dialectData == "")
        #expect(loaded.record.createdAt == Timestamp(milliseconds: 1_795_224_713_575))
        #expect(loaded.head == 3)
        #expect(loaded.revision == 6)
        #expect(
            await store.page(key, .newest)?.messages.map(\.body.content) == ["one", "two", "three"])
        for (name, unread) in [("ann", 1), ("bob", 2)] {
            let page = try #require(await store.memberships(of: name))
            #expect(page.memberships.map(\.key) == [key])
            #expect(page.memberships.first?.member.name == ByteString("\(name)'s name"))
            #expect(page.memberships.first?.unreadCount == unread)
            #expect(page.damaged.isEmpty)
        }
        #expect(await store.catalog()?.entries.count == 0)

        // The migrated file accepts writes, and opens again.
        let owner = LoopID(incarnation: 7, loop: 0)
        var testOwner = TestOwner(
            key: key, id: owner, epoch: await store.claim(key.shard, by: owner))
        #expect(testOwner.epoch == 2)
        (testOwner.head, testOwner.revision) = (3, 6)
        #expect(
            await store.write(
                [
                    testOwner.cursors("ann", read: 3, delivered: 3), testOwner.join("cat"),
                    testOwner.post("four"),
                ], by: owner) == .stored)
        _ = await store.createConversation(
            ConversationKey(tenant: "acme", id: "room"), .listed)
        store.close()
        store = try LocalStore.sqlite(path: self.path, history: 100)
        #expect(await store.memberships(of: "ann")?.memberships.first?.unreadCount == 0)
        #expect(await store.memberships(of: "cat")?.memberships.first?.head == 4)
        #expect(await store.catalog()?.entries.map(\.key.id) == ["room"])
        store.close()
    }

    /// One conversation of each kind, in the order of the kinds, and one of Rooms that has ended.
    private static let layout4Rows = """
        INSERT INTO conversations VALUES
            (1, 'default', 'c-conversations', 0, '', 'ann', 1795665415169, 1795665415169, NULL, \
        2, 1, -4515123961993385713, 0, ''),
            (2, 'default', 'c-agents', 0, '', 'ann', 1795665415593, 1795665415593, NULL, \
        2, 1, -4643678590284995421, 4, ''),
            (3, 'default', 'c-pets', 0, '', 'ann', 1795665415715, 1795665415715, NULL, \
        2, 1, 3299229833981101445, 1, ''),
            (4, 'default', '1', 1, '', 'ann', 1795665415843, 1795665415843, NULL, \
        2, 1, 6373350810341918378, 2, ''),
            (5, 'default', '@user:ann', 0, '', NULL, 1795665415845, 1795665415845, NULL, \
        1, 1, 2638229412812014249, 5, ''),
            (7, 'default', 'tpmmkv7x', 1, 'Tea', 'ann', 1795665425025, 1795665425025, NULL, \
        2, 1, -2556046171097303880, 3, 'at five'),
            (8, 'default', 'v7anesvm', 1, 'Over', 'ann', 1795665425047, 1795665441126, \
        1795665441126, 3, 1, -3214157092679434596, 3, 'at five');
        """

    @Test("4 gains origins and listings in place of kinds, and keeps its checksums")
    func fromLayout4() async throws {
        try self.write(layout: 4, Self.layout4Rows)
        var store = try LocalStore.sqlite(path: self.path, history: 100)
        let origins: [(String, LegacyKind)] = [
            ("c-conversations", .conversations), ("c-agents", .agents), ("c-pets", .pets),
            ("1", .chats), ("@user:ann", .inbox), ("tpmmkv7x", .rooms), ("v7anesvm", .rooms),
        ]
        for _ in 1...2 {
            for (id, kind) in origins {
                let key = ConversationKey(tenant: "default", id: ByteString(id))
                let record = try #require(await store.load(key)?.record, "\(id)")
                #expect(record.origin == kind.template.origin)
                #expect(record.joinPolicy == kind.template.joinPolicy)
                #expect(record.isListed == kind.template.isListed)
                #expect(record.dialectData == (kind == .rooms ? "at five" : ""))
            }
            let entries = await store.catalog(of: "default")?.entries
            #expect(entries?.map(\.key.id) == ["tpmmkv7x"])
            // The migrated file opens again.
            store.close()
            store = try LocalStore.sqlite(path: self.path, history: 100)
        }
        store.close()
    }

    @Test("4 with a kind that no version has written has a damaged row, and no other")
    func damagedKind() async throws {
        try self.write(
            layout: 4, Self.layout4Rows + "UPDATE conversations SET kind = 9 WHERE id < 3")
        let store = try LocalStore.sqlite(path: self.path, history: 100)
        for (id, isDamaged) in [("c-conversations", true), ("c-agents", true), ("c-pets", false)] {
            let key = ConversationKey(tenant: "default", id: ByteString(id))
            #expect((await store.load(key) == nil) == isDamaged, "\(id)")
        }
        store.close()
    }

    @Test(
        "3 counts no deleted message as unread, indexed or not",
        arguments: [false, true])
    func fromLayout3(isKilled: Bool) async throws {
        var options = SQLiteOptions(history: 100)
        options.generationSize = 8
        var store = try SQLiteStore(path: self.path, options: options)
        var testOwner = await store.createConversation(ConversationKey(tenant: "acme", id: "rex"))
        _ = await store.write([testOwner.join("bob")], by: testOwner)
        for number in 1...40 { _ = await store.write([testOwner.post("\(number)")], by: testOwner) }
        let messages = try #require(await store.page(testOwner.key, .after(0), limit: 40)).messages
        _ = await store.write(
            [2, 39, 40].map { testOwner.delete(messages[$0 - 1]) }, by: testOwner)
        if !isKilled { store.close() }
        let copy = "\(self.folder.path)/copy.db"
        for part in ["", "-wal"] where access(self.path + part, F_OK) == 0 {
            try FileManager.default.copyItem(atPath: self.path + part, toPath: copy + part)
        }
        store.close()
        let connection = try SQLiteConnection(path: copy, access: .readWrite)
        #expect(
            (try connection.number("SELECT count(*) FROM places WHERE sequence > 38") == 0)
                == isKilled)
        try connection.execute(
            """
            \(Self.toLayout6); DROP TABLE bans; DROP TABLE deletions; DROP INDEX catalog;
            ALTER TABLE conversations DROP COLUMN origin;
            ALTER TABLE conversations RENAME COLUMN listed TO kind;
            CREATE INDEX catalog ON conversations (tenant, created_at, name)
                WHERE kind = 3 AND ended_at IS NULL;
            PRAGMA user_version = 3
            """)
        store = try SQLiteStore(path: copy, options: options)
        #expect(await store.memberships(of: "bob")?.memberships.first?.unreadCount == 37)
        store.close()
    }

    /// Removes what layouts 7 and 8 have beyond layout 6.
    private static let toLayout6 = """
        DROP TABLE outbox; DROP TABLE outbox_done; DROP TABLE dead_letters;
        DROP TABLE trimmed; DROP TABLE search; DELETE FROM settings WHERE name LIKE 'search%';
        DROP TABLE replies; DROP TABLE mentions; DROP TABLE pins;
        ALTER TABLE messages DROP COLUMN annotations;
        ALTER TABLE conversations DROP COLUMN pin_policy
        """

    @Test("6 gains annotations, and its messages accept them")
    func fromLayout6() async throws {
        var store = try LocalStore.sqlite(path: self.path, history: 100)
        var owner = await store.createConversation(ConversationKey(tenant: "acme", id: "rex"))
        _ = await store.write([owner.join("bob"), owner.post("one"), owner.post("two")], by: owner)
        let messages = try #require(await store.page(owner.key, .newest)?.messages)
        _ = await store.write([owner.edit(messages[1], to: "zwei")], by: owner)
        let old = try #require(await store.page(owner.key, .newest)).text
        store.close()
        do {
            let connection = try SQLiteConnection(path: self.path, access: .readWrite)
            try connection.execute("\(Self.toLayout6); PRAGMA user_version = 6")
        }
        store = try LocalStore.sqlite(path: self.path, history: 100)
        #expect(await store.page(owner.key, .newest)?.text == old)
        #expect(await store.load(owner.key)?.record.pinPolicy == .members)
        owner.epoch = await store.claim(owner.key.shard, by: owner.id)
        _ = await store.write(
            [
                owner.react(to: messages[0], "👍"),
                owner.post(
                    "three", reply: Reply(to: 1, thread: 1),
                    mentions: Mentions(includesEveryone: true)),
            ], by: owner)
        _ = await store.write([owner.pin(messages[0])], by: owner)
        for _ in 1...2 {
            #expect(await store.thread(owner.key, 1)?.messages.map(\.sequence) == [1, 3])
            #expect(await store.load(owner.key)?.pins.map(\.sequence) == [1])
            #expect(await store.memberships(of: "bob")?.memberships.first?.unreadMentionCount == 1)
            store.close()
            store = try LocalStore.sqlite(path: self.path, history: 100)
        }
        store.close()
    }
}
