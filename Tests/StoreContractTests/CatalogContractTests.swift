import Bytes
import ChatModel
import StoreTestSupport
import Testing

private func acme(_ id: String) -> ConversationKey {
    ConversationKey(tenant: "acme", id: ByteString(id))
}

@Suite("Every store, asked for a tenant's catalog,")
struct CatalogContractTests {
    @Test(
        "shows what is for it and not ended, newest made first", arguments: StoreUnderTest.available
    )
    func listed(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        let kinds: [(String, ConversationRecord.Kind, Int)] = [
            ("old", .rooms, 10), ("pet", .pets, 20), ("new", .rooms, 40), ("chat", .chats, 35),
            ("plain", .conversations, 30),
            ("mid", .rooms, 30), ("inbox", .inbox, 60), ("over", .rooms, 50),
            ("agent", .agents, 55),
        ]
        for (id, kind, time) in kinds {
            _ = await store.createConversation(
                acme(id), title: "title of \(id)", kind: kind, at: TestOwner.time(time))
        }
        _ = await store.createConversation(
            ConversationKey(tenant: "other", id: "elsewhere"), kind: .rooms)
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
        #expect(page.entries.map(\.record.kind) == [.rooms, .rooms, .rooms])
        #expect(page.next == nil)
        #expect(page.damaged.isEmpty)
        #expect(await store.catalog(of: "other")?.entries.map(\.key.id) == ["elsewhere"])
        #expect(await store.catalog(of: "nobody's")?.entries.count == 0)
        #expect(await store.load(acme("pet"))?.record.kind == .pets)
    }

    @Test("keeps what a protocol keeps of its own", arguments: StoreUnderTest.available)
    func details(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var scribe = TestOwner(key: acme("rex"), id: LoopID(incarnation: 1, loop: 0), epoch: 1)
        _ = await store.claim(scribe.key.shard, by: scribe.id)
        _ = await store.write(
            [
                scribe.create("title", kind: .rooms, details: #"{"description":"ünï\u0000"}"#),
                scribe.post("hello"),
            ], by: scribe)
        _ = await store.write([scribe.join("ann"), scribe.post("two")], by: scribe)
        #expect(await store.load(scribe.key)?.record.dialectData == #"{"description":"ünï\u0000"}"#)
        #expect(
            await store.catalog()?.entries.first?.record.dialectData
                == #"{"description":"ünï\u0000"}"#)
        #expect(await store.catalog()?.entries.first?.head == 2)
    }

    @Test(
        "pages so that what stays is met once and in order, whatever comes and goes between the pages",
        arguments: StoreUnderTest.available)
    func paging(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        let owner = LoopID(incarnation: 1, loop: 0)
        var scribes: [TestOwner] = []
        // Many of the same moment, more than a page has.
        for number in 0..<40 {
            scribes.append(
                await store.createConversation(
                    acme("c\(number)"), by: owner, kind: .rooms, at: TestOwner.time(number / 15)))
        }
        var met: [CatalogEntry] = []
        var ended: Set<ConversationKey> = []
        var place: PageCursor?
        var round = 0
        repeat {
            let page = try #require(await store.catalog(after: place, limit: 6))
            #expect(page.entries.count <= 6)
            met += page.entries
            // As a client hands it back.
            place = try page.next.map { try #require(PageCursor($0.text)) }
            if round < 3 {
                for number in [round * 2, 39 - round] {
                    _ = await store.write(
                        [scribes[number].write(.end(at: TestOwner.time(99)))], by: owner)
                    ended.insert(scribes[number].key)
                }
                // The place itself may go, too.
                if let id = place?.id, let last = scribes.firstIndex(where: { $0.key.id == id }),
                    ended.insert(scribes[last].key).inserted
                {
                    _ = await store.write(
                        [scribes[last].write(.end(at: TestOwner.time(99)))], by: owner)
                }
                _ = await store.createConversation(
                    acme("late\(round)"), by: owner, kind: .rooms, at: TestOwner.time(50 + round))
            }
            round += 1
        } while place != nil && round < 100
        let places = met.map { PageCursor(time: $0.record.createdAt, id: $0.key.id) }
        #expect(places == places.sorted(by: >))
        #expect(Set(places).count == places.count)
        #expect(Set(scribes.map(\.key)).subtracting(ended).subtracting(met.map(\.key)) == [])
    }

    @Test("names a place as a client can hand it back, and takes nothing else for one")
    func cursors() {
        let place = PageCursor(time: Timestamp(milliseconds: 1_700_000_000_123), id: "a_b:c.d-e")
        #expect(place.text == "1700000000123_a_b:c.d-e")
        #expect(PageCursor(place.text) == place)
        for text in ["", "_", "1", "1_", "_a", "x_a", "01_a", "+1_a", "99999999999999999999_a"] {
            #expect(PageCursor(ByteString(text)) == nil)
        }
    }
}
