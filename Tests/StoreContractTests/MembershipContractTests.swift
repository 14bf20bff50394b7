import Bytes
import ChatModel
import StoreTestSupport
import Testing

private func acme(_ id: String) -> ConversationKey {
    ConversationKey(tenant: "acme", id: ByteString(id))
}

@Suite("Every store, asked for a user's conversations,")
struct MembershipContractTests {
    @Test("shows each as its member sees it, and no other's", arguments: StoreUnderTest.available)
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
        "leaves out what the user is no member of any more, and shows what was ended",
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
        "counts unread messages up to the limit, and last shows the words that are left",
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
        let shown = try #require(await store.memberships(of: "bob")?.memberships.first?.lastMessage)
        #expect(shown.sequence == 600)
        #expect(shown.state == .deleted)
        #expect(shown.body.content == "")
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
        // Of ann's: 1, below bob's cursor, 11 and 290; and one of bob's own.
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
        // What is deleted and forgotten is counted neither here nor there.
        _ = await store.write((1...600).map { rex.post("\($0)", by: "ann") }, by: rex)
        #expect(
            await store.memberships(of: "bob", unreadLimit: 1000)?.memberships.first?.unreadCount
                == 400)
    }

    @Test(
        "pages so that who stays is met once, whatever comes and goes between the pages",
        arguments: StoreUnderTest.available)
    func paging(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        let owner = LoopID(incarnation: 1, loop: 0)
        var scribes: [TestOwner] = []
        for number in 0..<30 {
            var scribe = await store.createConversation(acme("c\(number)"), by: owner)
            _ = await store.write([scribe.join("bob")], by: owner)
            scribes.append(scribe)
        }
        var met: [ConversationKey] = []
        var left: Set<ConversationKey> = []
        var place: ByteString?
        var round = 0
        repeat {
            let page = try #require(await store.memberships(of: "bob", after: place, limit: 4))
            #expect(page.memberships.count <= 4)
            met += page.memberships.map(\.key)
            place = page.next
            // One that may have been met goes, one that may not have been, and one comes.
            if round < 5 {
                for number in [round, 29 - round] {
                    _ = await store.write(
                        [scribes[number].write(.remove(TestOwner.person("bob").id))], by: owner)
                    left.insert(scribes[number].key)
                }
                var late = await store.createConversation(acme("late\(round)"), by: owner)
                _ = await store.write([late.join("bob")], by: owner)
            }
            round += 1
        } while place != nil && round < 100
        #expect(Set(met).count == met.count)
        #expect(Set(scribes.map(\.key)).subtracting(left).subtracting(met) == [])
    }

    @Test(
        "takes a limit that is out of bounds for the nearest that is not",
        arguments: StoreUnderTest.available)
    func limits(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        for number in 0..<3 {
            var scribe = await store.createConversation(acme("c\(number)"), kind: .rooms)
            _ = await store.write([scribe.join("bob")], by: scribe)
        }
        for (limit, count) in [(Int.min, 1), (0, 1), (1, 1), (2, 2), (.max, 3)] {
            #expect(await store.memberships(of: "bob", limit: limit)?.memberships.count == count)
            #expect(await store.catalog(limit: limit)?.entries.count == count)
        }
    }
}
