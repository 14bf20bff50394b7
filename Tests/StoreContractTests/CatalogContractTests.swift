import Bytes
import ChatModel
import StoreTestSupport
import TestTraits
import Testing

private func acme(_ id: String) -> ConversationKey {
    ConversationKey(tenant: "acme", id: ByteString(id))
}

@Suite("Every store, when it reads a tenant's catalog,", .ownThread)
struct CatalogContractTests {
    @Test(
        "lists its conversations that have not ended, newest first",
        arguments: StoreUnderTest.available
    )
    func listed(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        let templates: [(String, ConversationTemplate, Int)] = [
            ("old", .listed, 10), ("pet", .unlisted("pets"), 20), ("new", .listed, 40),
            ("chat", .unlisted("chats"), 35), ("plain", .unlisted, 30), ("mid", .listed, 30),
            ("inbox", .unlisted("inbox"), 60), ("over", .listed, 50),
            ("agent", .unlisted("agents"), 55),
        ]
        for (id, template, time) in templates {
            _ = await store.createConversation(
                acme(id), title: "title of \(id)", template, at: TestOwner.time(time))
        }
        _ = await store.createConversation(
            ConversationKey(tenant: "other", id: "elsewhere"), .listed)
        var over = TestOwner(
            key: acme("over"), id: LoopID(incarnation: 1, loop: 0),
            epoch: await store.claim(acme("over").shard, by: .init(incarnation: 1, loop: 0)))
        over.revision = 1
        #expect(
            await store.write(
                [over.post("bye"), over.write(.end(at: TestOwner.time(70)))], by: over) == .stored)

        let page = try #require(await store.catalog())
        #expect(page.entries.map(\.key.id) == ["new", "mid", "old"])
        #expect(
            page.entries.map(\.record.title) == ["title of new", "title of mid", "title of old"])
        #expect(page.entries.map(\.record.origin) == ["rooms", "rooms", "rooms"])
        #expect(page.next == nil)
        #expect(page.damaged.isEmpty)
        #expect(await store.catalog(of: "other")?.entries.map(\.key.id) == ["elsewhere"])
        #expect(await store.catalog(of: "nobody's")?.entries.count == 0)
        #expect(await store.load(acme("pet"))?.record.origin == "pets")
    }

    @Test(
        "lists a conversation because it is listed, whichever dialect created it",
        arguments: StoreUnderTest.available)
    func origins(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        let templates: [(String, ConversationTemplate)] = [
            ("sixth", .init(origin: "a sixth dialect", isListed: true)),
            ("hidden", .init(origin: "rooms", joinPolicy: .open)),
            ("shown", .init(origin: "conversations", isListed: true)),
            ("long", .unlisted(ByteString(String(repeating: "ü", count: 100)))),
        ]
        for (id, template) in templates {
            _ = await store.createConversation(acme(id), template)
        }
        #expect(await store.catalog()?.entries.map(\.key.id) == ["sixth", "shown"])
        for (id, template) in templates {
            let record = try #require(await store.load(acme(id))?.record)
            #expect(record.origin == template.origin)
            #expect(record.joinPolicy == template.joinPolicy)
            #expect(record.isListed == template.isListed)
        }
    }

    @Test("returns the data that a dialect stores", arguments: StoreUnderTest.available)
    func details(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = TestOwner(key: acme("rex"), id: LoopID(incarnation: 1, loop: 0), epoch: 1)
        _ = await store.claim(owner.key.shard, by: owner.id)
        _ = await store.write(
            [
                owner.create("title", .listed, details: #"{"description":"ünï\u0000"}"#),
                owner.post("hello"),
            ], by: owner)
        _ = await store.write([owner.join("ann"), owner.post("two")], by: owner)
        #expect(await store.load(owner.key)?.record.dialectData == #"{"description":"ünï\u0000"}"#)
        #expect(
            await store.catalog()?.entries.first?.record.dialectData
                == #"{"description":"ünï\u0000"}"#)
        #expect(await store.catalog()?.entries.first?.head == 2)
    }

    @Test(
        "returns every remaining conversation once and in order despite changes in between",
        arguments: StoreUnderTest.available)
    func paging(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        let ownerID = LoopID(incarnation: 1, loop: 0)
        var owners: [TestOwner] = []
        // More conversations than fit on a page have the same creation time.
        for number in 0..<40 {
            owners.append(
                await store.createConversation(
                    acme("c\(number)"), by: ownerID, .listed, at: TestOwner.time(number / 15)))
        }
        var returned: [CatalogEntry] = []
        var ended: Set<ConversationKey> = []
        var cursor: PageCursor?
        var round = 0
        repeat {
            let page = try #require(await store.catalog(after: cursor, limit: 6))
            #expect(page.entries.count <= 6)
            returned += page.entries
            // A client returns the cursor as text.
            cursor = try page.next.map { try #require(PageCursor($0.text)) }
            if round < 3 {
                for number in [round * 2, 39 - round] {
                    _ = await store.write(
                        [owners[number].write(.end(at: TestOwner.time(99)))], by: ownerID)
                    ended.insert(owners[number].key)
                }
                // The cursor's own conversation may end, too.
                if let id = cursor?.id, let last = owners.firstIndex(where: { $0.key.id == id }),
                    ended.insert(owners[last].key).inserted
                {
                    _ = await store.write(
                        [owners[last].write(.end(at: TestOwner.time(99)))], by: ownerID)
                }
                _ = await store.createConversation(
                    acme("late\(round)"), by: ownerID, .listed, at: TestOwner.time(50 + round))
            }
            round += 1
        } while cursor != nil && round < 100
        let cursors = returned.map { PageCursor(time: $0.record.createdAt, id: $0.key.id) }
        #expect(cursors == cursors.sorted(by: >))
        #expect(Set(cursors).count == cursors.count)
        #expect(Set(owners.map(\.key)).subtracting(ended).subtracting(returned.map(\.key)) == [])
    }

    @Test("has cursors that a client can return as text, and accepts no other text")
    func cursors() {
        let cursor = PageCursor(time: Timestamp(milliseconds: 1_700_000_000_123), id: "a_b:c.d-e")
        #expect(cursor.text == "1700000000123_a_b:c.d-e")
        #expect(PageCursor(cursor.text) == cursor)
        for text in ["", "_", "1", "1_", "_a", "x_a", "01_a", "+1_a", "99999999999999999999_a"] {
            #expect(PageCursor(ByteString(text)) == nil)
        }
    }
}
