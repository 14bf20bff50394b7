import Bytes
import ChatModel
import StoreTestSupport
import TestTraits
import Testing

private let rex = ConversationKey(tenant: "acme", id: "rex")

@Suite("Every store, when messages are pinned,", .ownThread)
struct PinContractTests {
    private func writeMessages(_ store: any ChatStore, _ count: Int) async -> TestOwner {
        var owner = await store.createConversation(rex)
        let writes = (1...count).map { owner.post("\($0)", clientID: "c\($0)", metadata: [9]) }
        #expect(await store.write(writes, by: owner) == .stored)
        return owner
    }

    @Test(
        "lists the pinned messages in their present state, oldest pin first",
        arguments: StoreUnderTest.available)
    func listed(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await self.writeMessages(store, 4)
        #expect(await store.load(rex)?.pins.count == 0)
        func pin(_ sequence: Int, _ isPinned: Bool = true, at time: Timestamp? = nil) async throws {
            let message = try #require(await store.message(rex, sequence))
            #expect(
                await store.write([owner.pin(message, isPinned, at: time)], by: owner) == .stored)
        }
        func pins() async throws -> [Int] {
            try #require(await store.load(rex)).pins.map(\.sequence)
        }
        try await pin(3)
        try await pin(1)
        try await pin(2)
        #expect(try await pins() == [3, 1, 2])
        // A message that is pinned again is the newest pin.
        try await pin(3)
        #expect(try await pins() == [1, 2, 3])
        try await pin(1, false)
        #expect(try await pins() == [2, 3])
        try await pin(4, at: TestOwner.time(-5))
        #expect(try await pins() == [4, 2, 3])
        // Pins of one millisecond are in the order of the messages.
        try await pin(2, at: TestOwner.time(-5))
        #expect(try await pins() == [2, 4, 3])
        let third = try #require(await store.message(rex, 3))
        _ = await store.write([owner.react(to: third, "👍")], by: owner)
        let reacted = try #require(await store.message(rex, 3))
        _ = await store.write([owner.edit(reacted, to: "drei")], by: owner)
        #expect(
            await store.load(rex)?.pins.last?.text
                == reacted.edited(to: "drei", revision: owner.revision).text)
        _ = await store.write([owner.delete(reacted)], by: owner)
        #expect(try await pins() == [2, 4])
    }

    @Test(
        "keeps a pinned message that the history no longer has, and its amendments",
        arguments: StoreUnderTest.available)
    func trimmed(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(5)
        var owner = await self.writeMessages(store, 4)
        let messages = try #require(await store.page(rex, .newest)?.messages)
        _ = await store.write(
            [owner.pin(messages[0]), owner.pin(messages[1]), owner.pin(messages[2])], by: owner)
        let pinned = try #require(await store.load(rex)).pins
        // Enough that every store has removed the messages.
        for round in 0..<60 {
            _ = await store.write((0..<10).map { owner.post("\(round).\($0)") }, by: owner)
        }
        #expect(await store.load(rex)?.pins.map(\.text) == pinned.map(\.text))
        #expect(await store.page(rex, .before(5))?.messages.isEmpty == true)

        _ = await store.write([owner.react(to: pinned[0], "👍")], by: owner)
        let reacted = try #require(await store.load(rex)?.pins.first)
        #expect(
            reacted.text
                == pinned[0].reacted(
                    with: Reactions([
                        .init(Emoji(stored: "👍"), users: [TestOwner.person("bob").id])
                    ]), revision: owner.revision
                ).text)
        _ = await store.write([owner.edit(reacted, to: "uno")], by: owner)
        #expect(await store.load(rex)?.pins.first?.body.content == "uno")
        #expect(await store.load(rex)?.pins.first?.body.annotations?.reactions?.groups.count == 1)
        _ = await store.write(
            [owner.pin(pinned[1], false), owner.delete(pinned[2])], by: owner)
        #expect(await store.load(rex)?.pins.map(\.sequence) == [1])
        // The owner still knows the message, so it can become pinned again.
        _ = await store.write([owner.pin(pinned[1])], by: owner)
        #expect(await store.load(rex)?.pins.map(\.sequence) == [1, 2])
        #expect(
            await store.amended(rex, through: .max, since: 0)?.amended.isEmpty == true,
            "a page returned a message that is not retained")
    }

    @Test("keeps a hundred pins", arguments: StoreUnderTest.available)
    func hundred(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(10)
        var owner = await store.createConversation(rex)
        for number in 1...PinState.limit {
            _ = await store.write([owner.post("\(number)")], by: owner)
            let message = try #require(await store.message(rex, number))
            #expect(await store.write([owner.pin(message)], by: owner) == .stored)
        }
        let pins = try #require(await store.load(rex)?.pins)
        #expect(pins.map(\.body.content) == (1...100).map { "\($0)" })
        _ = await store.write(pins.map { owner.pin($0, false) }, by: owner)
        #expect(await store.load(rex)?.pins.count == 0)
    }

    @Test(
        "keeps the pins of each conversation apart", arguments: StoreUnderTest.available)
    func conversations(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await self.writeMessages(store, 2)
        var other = await store.createConversation(ConversationKey(tenant: "acme", id: "kim"))
        _ = await store.write([other.post("kim's")], by: other)
        let message = try #require(await store.message(rex, 1))
        _ = await store.write([owner.pin(message)], by: owner)
        #expect(await store.load(other.key)?.pins.count == 0)
        #expect(await store.load(rex)?.pins.map(\.body.content) == ["1"])
    }
}
