import Bytes
import ChatModel
import StoreTestSupport
import TestTraits
import Testing

private func acme(_ id: String) -> ConversationKey {
    ConversationKey(tenant: "acme", id: ByteString(id))
}

@Suite("Every store, when properties of a conversation change,", .ownThread)
struct PropertyContractTests {
    @Test("stores them, and nothing else", arguments: StoreUnderTest.available)
    func stored(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var rex = await store.createConversation(acme("rex"), title: "Rex", .listed)
        _ = await store.write([rex.join("ann", role: .creator), rex.post("one")], by: rex)
        let before = try #require(await store.load(rex.key))
        var record = before.record
        (record.title, record.dialectData) = ("Ünï", "about")
        (record.joinPolicy, record.isListed) = (.closed, false)
        // Only the properties count.
        record.endedAt = TestOwner.time(1)
        record.creator = nil
        #expect(await store.write([rex.write(.update(record))], by: rex) == .stored)
        var expected = before.record
        expected.takeProperties(of: record)
        let after = try #require(await store.load(rex.key))
        #expect(after.record == expected)
        #expect(after.revision == before.revision + 1)
        #expect(after.members == before.members)
        #expect(await store.write([rex.post("two")], by: rex) == .stored)
        record.dialectData = ""
        #expect(await store.write([rex.write(.update(record))], by: rex) == .stored)
        #expect(await store.load(rex.key)?.record.dialectData == "")
    }

    @Test(
        "adds it to the catalog or removes it, as often as it is listed and unlisted",
        arguments: StoreUnderTest.available)
    func catalog(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var rex = await store.createConversation(acme("rex"), .unlisted, at: TestOwner.time(20))
        _ = await store.createConversation(acme("kim"), .listed, at: TestOwner.time(10))
        var record = try #require(await store.load(rex.key)).record
        for _ in 0..<3 {
            record.isListed = true
            #expect(await store.write([rex.write(.update(record))], by: rex) == .stored)
            #expect(await store.catalog()?.entries.map(\.key.id) == ["rex", "kim"])
            record.isListed = false
            #expect(await store.write([rex.write(.update(record))], by: rex) == .stored)
            #expect(await store.catalog()?.entries.map(\.key.id) == ["kim"])
        }
        // An ended conversation is in no catalog.
        _ = await store.write([rex.write(.end(at: TestOwner.time(30)))], by: rex)
        record.isListed = true
        #expect(await store.write([rex.write(.update(record))], by: rex) == .stored)
        #expect(await store.catalog()?.entries.map(\.key.id) == ["kim"])
    }

    @Test(
        "refuses the change of another revision, and of a missing conversation",
        arguments: StoreUnderTest.available)
    func refused(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var rex = await store.createConversation(acme("rex"))
        let record = try #require(await store.load(rex.key)).record
        rex.revision += 1
        #expect(
            await store.write([rex.write(.update(record))], by: rex)
                == .refused([0: .revisionMismatch(stored: 1)]))
    }

    @Test(
        "keeps the former members to remember, and lists no conversation of theirs",
        arguments: StoreUnderTest.available)
    func formerMembers(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var rex = await store.createConversation(acme("rex"))
        _ = await store.write(
            [rex.join("ann", role: .creator), rex.join("bob", read: 0), rex.join("cid")], by: rex)
        _ = await store.write([rex.post("one"), rex.post("two")], by: rex)
        _ = await store.write(
            [rex.join("bob", role: .removed), rex.join("ann", role: .departed)], by: rex)
        let loaded = try #require(await store.load(rex.key))
        #expect(
            Dictionary(uniqueKeysWithValues: loaded.members.map { ($0.user.name, $0.role) })
                == ["ann": .departed, "bob": .removed, "cid": .member])
        #expect(loaded.currentMembers.map(\.user.name) == ["cid"])
        for user in ["ann", "bob"] {
            #expect(await store.memberships(of: user)?.memberships.count == 0)
        }
        #expect(await store.memberships(of: "cid")?.memberships.count == 1)
        // A member again, with its entry in the list.
        _ = await store.write([rex.join("bob")], by: rex)
        #expect(await store.memberships(of: "bob")?.memberships.map(\.member.role) == [.member])
    }
}
