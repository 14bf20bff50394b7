import Bytes
import ChatModel
import StoreTestSupport
import TestTraits
import Testing

private func acme(_ id: String) -> ConversationKey {
    ConversationKey(tenant: "acme", id: ByteString(id))
}

@Suite("Every store, when it lists a user's conversations,", .ownThread)
struct MembershipContractTests {
    @Test("returns each as its member sees it, and no others", arguments: StoreUnderTest.available)
    func listed(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var rex = await store.createConversation(acme("rex"), title: "Rex")
        _ = await store.write([rex.join("ann", role: .creator), rex.join("bob", read: 1)], by: rex)
        _ = await store.write(
            [rex.post("one"), rex.post("two", by: "bob"), rex.post("three"), rex.post("four")],
            by: rex)
        let third = try #require(await store.page(rex.key, .newest)?.messages[2])
        let fourth = try #require(await store.page(rex.key, .newest)?.messages[3])
        _ = await store.write(
            [
                rex.edit(third, to: "drei"), rex.edit(fourth, to: "vier"),
                rex.cursors("bob", read: 2, delivered: 4),
            ], by: rex)
        var kim = await store.createConversation(acme("kim"))
        _ = await store.write([kim.join("ann")], by: kim)
        var foreign = await store.createConversation(ConversationKey(tenant: "other", id: "rex"))
        _ = await store.write([foreign.join("bob")], by: foreign)

        let page = try #require(await store.memberships(of: "bob"))
        #expect(page.next == nil)
        #expect(page.damaged.isEmpty)
        let membership = try #require(page.memberships.first)
        #expect(page.memberships.count == 1)
        #expect(membership.key == rex.key)
        #expect(membership.record == (await store.load(rex.key))?.record)
        #expect(membership.record.title == "Rex")
        #expect(membership.head == 4)
        #expect(membership.member.readCursor == 2)
        #expect(membership.member.deliveredCursor == 4)
        #expect(membership.member.name == "bob's name")
        #expect(
            membership.lastMessage?.text
                == (await store.page(rex.key, .newest, limit: 1))?.messages.first?.text)
        #expect(membership.lastMessage?.body.content == "vier")
        #expect(membership.unreadCount == 2)

        let anns = try #require(await store.memberships(of: "ann")).memberships
        #expect(Set(anns.map(\.key)) == [rex.key, kim.key])
        #expect(anns.first { $0.key == kim.key }?.lastMessage == nil)
        #expect(anns.first { $0.key == rex.key }?.unreadCount == 1)
        #expect(await store.memberships(of: "nobody")?.memberships.count == 0)
        #expect(
            await store.memberships(of: "bob", in: "other")?.memberships.map(\.key) == [foreign.key]
        )
    }

    @Test(
        "leaves out conversations that the user has left, and includes ended ones",
        arguments: StoreUnderTest.available)
    func left(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var rex = await store.createConversation(acme("rex"))
        var kim = await store.createConversation(acme("kim"))
        _ = await store.write(
            [rex.join("bob"), kim.join("bob"), kim.write(.end(at: TestOwner.time(9)))], by: rex)
        _ = await store.write([rex.write(.remove(TestOwner.person("bob").id))], by: rex)
        #expect(await store.memberships(of: "bob")?.memberships.map(\.key) == [kim.key])
        #expect(
            await store.memberships(of: "bob")?.memberships.first?.record.endedAt
                == TestOwner.time(9))
        _ = await store.write([rex.join("bob")], by: rex)
        #expect(
            Set(try #require(await store.memberships(of: "bob")).memberships.map(\.key)) == [
                rex.key, kim.key,
            ])
    }

    @Test(
        "counts unread messages up to the limit, and returns the last message as it is now",
        arguments: StoreUnderTest.available)
    func unread(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(1000)
        var rex = await store.createConversation(acme("rex"))
        _ = await store.write([rex.join("bob", read: 3)], by: rex)
        _ = await store.write(
            (1...600).map { rex.post("\($0)", by: $0 % 2 == 0 ? "bob" : "ann") }, by: rex)
        for (limit, count) in [
            (1000, 298), (298, 298), (297, 297), (1, 1), (0, 0), (-1, 0), (.max, 298),
        ] {
            #expect(
                await store.memberships(of: "bob", unreadLimit: limit)?.memberships.first?
                    .unreadCount == count, "\(limit)")
        }
        let last = try #require(await store.page(rex.key, .newest, limit: 1)?.messages.first)
        _ = await store.write([rex.delete(last)], by: rex)
        #expect(
            await store.memberships(of: "bob", unreadLimit: 1000)?.memberships.first?.unreadCount
                == 298)
        let lastMessage = try #require(
            await store.memberships(of: "bob")?.memberships.first?.lastMessage)
        #expect(lastMessage.sequence == 600)
        #expect(lastMessage.state == .deleted)
        #expect(lastMessage.body.content == "")
    }

    @Test(
        "counts no deleted message as unread, and every edited one, up to the limit",
        arguments: StoreUnderTest.available)
    func deleted(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(400)
        var rex = await store.createConversation(acme("rex"))
        _ = await store.write([rex.join("bob", read: 10)], by: rex)
        _ = await store.write(
            (1...300).map { rex.post("\($0)", by: $0 % 3 == 0 ? "bob" : "ann") }, by: rex)
        let messages = try #require(await store.page(rex.key, .after(0), limit: 300)).messages
        #expect(
            await store.memberships(of: "bob", unreadLimit: 1000)?.memberships.first?.unreadCount
                == 193)
        // Deletes ann's messages 1 (below bob's cursor), 11 and 290, and one of bob's own.
        _ = await store.write(
            [1, 11, 290, 12].map { rex.delete(messages[$0 - 1]) } + [
                rex.edit(messages[12], to: "other words")
            ], by: rex)
        _ = await store.write([rex.delete(messages[10])], by: rex)
        for (limit, count) in [(1000, 191), (191, 191), (190, 190), (1, 1), (0, 0), (.max, 191)] {
            #expect(
                await store.memberships(of: "bob", unreadLimit: limit)?.memberships.first?
                    .unreadCount == count, "\(limit)")
        }
        #expect(await store.unread(rex.key, after: 0, by: TestOwner.person("bob").id) == 197)
        #expect(await store.unread(rex.key, after: 11, by: TestOwner.person("bob").id) == 191)
        #expect(await store.unread(rex.key, after: 0, by: TestOwner.person("ann").id) == 99)
        // A deleted message that was trimmed is not counted twice.
        _ = await store.write((1...600).map { rex.post("\($0)", by: "ann") }, by: rex)
        #expect(
            await store.memberships(of: "bob", unreadLimit: 1000)?.memberships.first?.unreadCount
                == 400)
    }

    @Test(
        "returns every remaining membership once, whatever changes between the pages",
        arguments: StoreUnderTest.available)
    func paging(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        let ownerID = LoopID(incarnation: 1, loop: 0)
        var owners: [TestOwner] = []
        for number in 0..<30 {
            var owner = await store.createConversation(acme("c\(number)"), by: ownerID)
            _ = await store.write([owner.join("bob")], by: ownerID)
            owners.append(owner)
        }
        var returned: [ConversationKey] = []
        var left: Set<ConversationKey> = []
        var cursor: ByteString?
        var round = 0
        repeat {
            let page = try #require(await store.memberships(of: "bob", after: cursor, limit: 4))
            #expect(page.memberships.count <= 4)
            returned += page.memberships.map(\.key)
            cursor = page.next
            // One conversation that may have been returned is left, one that may not have been, and
            // one is joined.
            if round < 5 {
                for number in [round, 29 - round] {
                    _ = await store.write(
                        [owners[number].write(.remove(TestOwner.person("bob").id))], by: ownerID)
                    left.insert(owners[number].key)
                }
                var late = await store.createConversation(acme("late\(round)"), by: ownerID)
                _ = await store.write([late.join("bob")], by: ownerID)
            }
            round += 1
        } while cursor != nil && round < 100
        #expect(Set(returned).count == returned.count)
        #expect(Set(owners.map(\.key)).subtracting(left).subtracting(returned) == [])
    }

    @Test(
        "replaces a limit out of bounds by the nearest valid one",
        arguments: StoreUnderTest.available)
    func limits(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        for number in 0..<3 {
            var owner = await store.createConversation(acme("c\(number)"), .listed)
            _ = await store.write([owner.join("bob")], by: owner)
        }
        for (limit, count) in [(Int.min, 1), (0, 1), (1, 1), (2, 2), (.max, 3)] {
            #expect(await store.memberships(of: "bob", limit: limit)?.memberships.count == count)
            #expect(await store.catalog(limit: limit)?.entries.count == count)
        }
    }
}
