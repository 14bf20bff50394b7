import Bytes
import ChatModel
import StoreTestSupport
import TestTraits
import Testing

private let rex = ConversationKey(tenant: "acme", id: "rex")

extension ChatStore {
    /// A retained message in its present state.
    func message(_ key: ConversationKey, _ sequence: SequenceNumber) async -> Message? {
        let page = await self.page(key, .after(sequence - 1), limit: 1)
        return page?.messages.first { $0.sequence == sequence }
    }
}

@Suite("Every store, when messages are amended,", .ownThread)
struct ReactionContractTests {
    /// A conversation with messages "1" to "count", all by ann.
    private func writeMessages(_ store: any ChatStore, _ count: Int) async -> TestOwner {
        var owner = await store.createConversation(rex)
        #expect(await store.write((1...count).map { owner.post("\($0)") }, by: owner) == .stored)
        return owner
    }

    @Test(
        "keeps reactions in the order of the users, and what else the message has",
        arguments: StoreUnderTest.available)
    func reactions(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await store.createConversation(rex)
        _ = await store.write(
            [
                owner.post(
                    "one", clientID: "c1", metadata: [1, 0, 2],
                    mentions: Mentions(
                        users: [TestOwner.person("zoë").id], nonMembers: [.init(anonymous: "x")]))
            ], by: owner)
        var expected = try #require(await store.message(rex, 1))
        for (emoji, name, isOn) in [
            ("👍", "bob", true), (":tada:", "robot", true), ("👍", "zoë", true),
            ("👍", "bob", false), ("👩‍👩‍👧", "bob", true), (":tada:", "robot", false),
        ] {
            let write = owner.react(to: expected, emoji, by: name, isOn: isOn)
            guard case .amend(let message, _, _) = write.change else {
                return _ = Issue.record("a reaction is an amendment")
            }
            #expect(await store.write([write], by: owner) == .stored)
            expected = message
            #expect(await store.message(rex, 1)?.text == expected.text)
        }
        #expect(
            expected.body.annotations?.reactions?.groups.map(\.users) == [
                [TestOwner.person("zoë").id], [TestOwner.person("bob").id],
            ])
        #expect(expected.state == .asSent)
        #expect(expected.body.metadata == [1, 0, 2])
    }

    @Test(
        "remembers that all reactions were removed, and that a pin has ended",
        arguments: StoreUnderTest.available)
    func removed(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await self.writeMessages(store, 1)
        for step in 0..<4 {
            let message = try #require(await store.message(rex, 1))
            let write =
                step < 2
                ? owner.react(to: message, "👍", isOn: step == 0) : owner.pin(message, step == 2)
            #expect(await store.write([write], by: owner) == .stored)
        }
        let annotations = try #require(await store.message(rex, 1)?.body.annotations)
        #expect(annotations.reactions == Reactions())
        #expect(annotations.pin?.isPinned == false)
        #expect(annotations.pin?.by == TestOwner.person("bob"))
        #expect(annotations.pin?.at == TestOwner.time(6))
    }

    @Test(
        "keeps reactions and pin of an edited message, and none of a deleted one",
        arguments: StoreUnderTest.available)
    func editedAndDeleted(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await store.createConversation(rex)
        _ = await store.write(
            [
                owner.post("root"),
                owner.post(
                    "one", metadata: [1], reply: Reply(to: 1, thread: 1),
                    mentions: Mentions(includesEveryone: true)),
            ], by: owner)
        var message = try #require(await store.message(rex, 2))
        for step in 0..<4 {
            let write =
                switch step {
                case 0: owner.react(to: message, "👍")
                case 1: owner.pin(message, by: "robot")
                case 2: owner.edit(message, to: "eins")
                default: owner.react(to: message, "👍", by: "zoë")
                }
            #expect(await store.write([write], by: owner) == .stored)
            message = try #require(await store.message(rex, 2))
        }
        #expect(message.state == .edited)
        #expect(message.body.content == "eins")
        #expect(message.body.annotations?.reactions?.groups.first?.users.count == 2)
        #expect(message.isPinned)
        #expect(message.body.annotations?.pin?.by.agent == "agent 7")
        _ = await store.write([owner.delete(message)], by: owner)
        for write in [owner.react(to: message, "🎉"), owner.pin(message)] {
            #expect(await store.write([write], by: owner) == .stored)
            let deleted = try #require(await store.message(rex, 2))
            #expect(deleted.text == message.deleted(revision: 8).text)
            #expect(deleted.body.annotations?.reply == Reply(to: 1, thread: 1))
            #expect(deleted.body.annotations?.mentions == nil)
        }
        #expect(await store.load(rex)?.pins.count == 0)
    }

    @Test(
        "never changes the author, the time or the reply of an amended message",
        arguments: StoreUnderTest.available)
    func fixedParts(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await store.createConversation(rex)
        _ = await store.write(
            [
                owner.post("root"),
                owner.post("one", clientID: "c2", reply: Reply(to: 1, thread: 1)),
            ], by: owner)
        let stored = try #require(await store.message(rex, 2))
        let reactions = Reactions([.init(Emoji(stored: "👍"), users: [TestOwner.person("bob").id])])
        for reply in [nil, Reply(to: 7, thread: 6)] {
            let body = MessageBody(
                author: TestOwner.person("bob"), clientMessageID: nil, content: "one",
                annotations: MessageAnnotations(reply: reply, mentions: nil, reactions: reactions))
            let forgery = Message(
                sequence: 2, revision: 0, sentAt: TestOwner.time(99), body: body)
            let write = owner.write(.amend(forgery, .reacted([]), at: nil))
            #expect(await store.write([write], by: owner) == .stored)
            #expect(
                await store.message(rex, 2)?.text
                    == stored.reacted(with: reactions, revision: owner.revision).text)
        }
        #expect(await store.thread(rex, 1)?.messages.map(\.sequence) == [1, 2])
    }

    @Test(
        "does not count an amendment without a time as activity",
        arguments: StoreUnderTest.available)
    func activity(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await self.writeMessages(store, 2)
        let message = try #require(await store.message(rex, 1))
        for _ in 0..<3 {
            _ = await store.write([owner.react(to: message, "👍")], by: owner)
            #expect(await store.load(rex)?.record.updatedAt == TestOwner.time(3))
            #expect(await store.load(rex)?.revision == owner.revision)
        }
        _ = await store.write([owner.edit(message, to: "eins")], by: owner)
        _ = await store.write([owner.react(to: message, "👍")], by: owner)
        #expect(await store.load(rex)?.record.updatedAt == TestOwner.time(7))
    }

    @Test(
        "returns a message that was amended several times once, at its last amendment",
        arguments: StoreUnderTest.available)
    func amendedSince(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await self.writeMessages(store, 3)
        let messages = try #require(await store.page(rex, .newest)?.messages)
        // Revisions 5 to 9.
        _ = await store.write(
            [
                owner.react(to: messages[0], "👍"), owner.react(to: messages[1], "👍"),
                owner.react(to: messages[0], "👍", by: "zoë"), owner.pin(messages[2]),
                owner.react(to: messages[0], "👍", by: "robot"),
            ], by: owner)
        let all = try #require(await store.amended(rex, through: 3, since: 4)).amended
        #expect(all.map(\.sequence) == [2, 3, 1])
        #expect(all.map(\.revision) == [6, 8, 9])
        #expect(await store.amended(rex, through: 3, since: 8)?.amended.map(\.sequence) == [1])
        let changes = try #require(await store.changes(rex, after: 3, since: 6))
        #expect(changes.amended.map(\.sequence) == [3, 1])
        #expect(changes.amended.map(\.isPinned) == [true, false])
        #expect(await store.changes(rex, after: 1, since: 4)?.amended.map(\.sequence) == [1])
    }

    @Test("refuses amendments of an owner that lost its shard", arguments: StoreUnderTest.available)
    func fenced(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await self.writeMessages(store, 1)
        let message = try #require(await store.message(rex, 1))
        let next = await store.claim(rex.shard, by: LoopID(incarnation: 9, loop: 0))
        for write in [owner.react(to: message, "👍"), owner.pin(message)] {
            #expect(await store.write([write], by: owner) == .refused([0: .fenced(next)]))
        }
        #expect(await store.message(rex, 1)?.text == message.text)
        #expect(await store.load(rex)?.pins.count == 0)
        #expect(await store.load(rex)?.revision == 2)
    }

    @Test(
        "keeps who may pin messages of a conversation",
        arguments: StoreUnderTest.available, [ConversationRecord.PinPolicy.members, .creator])
    func pinPolicy(_ kind: StoreUnderTest, policy: ConversationRecord.PinPolicy) async throws {
        let store = try kind.open(100)
        let id = LoopID(incarnation: 1, loop: 0)
        var owner = TestOwner(key: rex, id: id, epoch: await store.claim(rex.shard, by: id))
        _ = await store.write([owner.create(pinPolicy: policy), owner.join("ann")], by: owner)
        #expect(await store.load(rex)?.record.pinPolicy == policy)
        #expect(
            await store.memberships(of: "ann")?.memberships.first?.record.pinPolicy == policy)
    }
}
