import Bytes
import ChatModel
import StoreTestSupport
import TestTraits
import Testing

private let rex = ConversationKey(tenant: "acme", id: "rex")

@Suite("Every store, when messages mention users,", .ownThread)
struct MentionContractTests {
    private static func naming(_ names: String...) -> Mentions {
        Mentions(users: names.map { TestOwner.person($0).id })
    }

    private static let everyone = Mentions(includesEveryone: true)

    private func create(_ store: any ChatStore) async -> TestOwner {
        var owner = await store.createConversation(rex)
        _ = await store.write(["ann", "bob", "zoë"].map { owner.join($0) }, by: owner)
        return owner
    }

    /// The unread messages and mentions of a user.
    private func counts(_ store: any ChatStore, _ name: String, limit: Int = 100) async throws
        -> [Int]
    {
        let page = try #require(await store.memberships(of: name, unreadLimit: limit))
        let membership = try #require(page.memberships.first)
        return [membership.unreadCount, membership.unreadMentionCount]
    }

    @Test(
        "counts the unread mentions of a user, by name or of everyone, except the user's own",
        arguments: StoreUnderTest.available)
    func counted(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await self.create(store)
        #expect(try await self.counts(store, "bob") == [0, 0])
        _ = await store.write(
            [
                owner.post("1"), owner.post("2", mentions: Self.naming("bob", "zoë")),
                owner.post("3", mentions: Self.everyone),
                owner.post("4", by: "bob", mentions: Self.everyone),
                owner.post("5", by: "bob", mentions: Self.naming("bob")),
                owner.post(
                    "6",
                    mentions: Mentions(
                        includesEveryone: true, users: [TestOwner.person("bob").id],
                        nonMembers: [TestOwner.person("zoë").id])),
                owner.post("7", mentions: Mentions(nonMembers: [TestOwner.person("bob").id])),
            ], by: owner)
        #expect(try await self.counts(store, "ann") == [2, 1])
        #expect(try await self.counts(store, "bob") == [5, 3])
        #expect(try await self.counts(store, "zoë") == [7, 4])
        for (read, expected) in [(2, [3, 2]), (5, [2, 1]), (6, [1, 0]), (7, [0, 0])] {
            _ = await store.write([owner.cursors("bob", read: read, delivered: read)], by: owner)
            #expect(try await self.counts(store, "bob") == expected)
        }
    }

    @Test(
        "does not count the mentions of a deleted message, and those of an edited one",
        arguments: StoreUnderTest.available)
    func amended(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await self.create(store)
        _ = await store.write(
            [
                owner.post("1", mentions: Self.naming("bob")),
                owner.post("2", mentions: Self.everyone), owner.post("3", mentions: Self.everyone),
            ], by: owner)
        let messages = try #require(await store.page(rex, .newest)?.messages)
        _ = await store.write(
            [
                owner.edit(messages[0], to: "eins"), owner.delete(messages[1]),
                owner.react(to: messages[2], "👍"),
            ], by: owner)
        #expect(try await self.counts(store, "bob") == [2, 2])
        #expect(try await self.counts(store, "zoë") == [2, 1])
        let first = try #require(await store.message(rex, 1))
        _ = await store.write([owner.delete(first)], by: owner)
        #expect(try await self.counts(store, "bob") == [1, 1])
    }

    @Test(
        "counts the mentions among the unread messages that it counts",
        arguments: StoreUnderTest.available)
    func limited(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await self.create(store)
        // 2, 4, 6 … mention bob. Bob himself wrote 3, 6, 9 …, and 5 and 8 are deleted.
        let writes = (1...20).map {
            owner.post(
                "\($0)", by: $0 % 3 == 0 ? "bob" : "ann",
                mentions: $0 % 2 == 0 ? Self.naming("bob") : nil)
        }
        _ = await store.write(writes, by: owner)
        let messages = try #require(await store.page(rex, .newest)?.messages)
        _ = await store.write([owner.delete(messages[4]), owner.delete(messages[7])], by: owner)
        // Unread: 1 2 4 7 10 11 13 14 16 17 19 20; mentions: 2 4 10 14 16 20.
        let expected = [0, 0, 1, 2, 2, 3, 3, 3, 4, 5, 5, 5, 6]
        for limit in 0...12 {
            #expect(
                try await self.counts(store, "bob", limit: limit) == [limit, expected[limit]])
        }
        #expect(try await self.counts(store, "bob", limit: 13) == [12, 6])
        #expect(try await self.counts(store, "bob", limit: -1) == [0, 0])
    }

    @Test("counts no mention that is trimmed", arguments: StoreUnderTest.available)
    func trimmed(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(5)
        var owner = await self.create(store)
        for round in 1...40 {
            _ = await store.write(
                (1...10).map { owner.post("\($0)", mentions: $0 > 7 ? Self.everyone : nil) },
                by: owner)
            #expect(try await self.counts(store, "bob") == [5, 3], "round \(round)")
        }
        _ = await store.write((1...4).map { owner.post("\($0)") }, by: owner)
        #expect(try await self.counts(store, "bob") == [5, 1])
    }
}
