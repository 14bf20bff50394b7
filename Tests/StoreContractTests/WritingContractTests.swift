import Bytes
import ChatModel
import StoreTestSupport
import TestTraits
import Testing

private let rex = ConversationKey(tenant: "acme", id: "rex")
private let kim = ConversationKey(tenant: "acme", id: "kim")
private let mine = LoopID(incarnation: 1, loop: 0)
private let other = LoopID(incarnation: 2, loop: 0)

@Suite("Every store, when written to,", .ownThread)
struct WritingContractTests {
    @Test(
        "raises a shard's epoch with each claim, for each shard separately",
        arguments: StoreUnderTest.available)
    func claims(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        #expect(await store.claim(5, by: mine) == 1)
        #expect(await store.claim(5, by: other) == 2)
        #expect(await store.claim(5, by: mine) == 3)
        #expect(await store.claim(6, by: mine) == 1)
    }

    @Test(
        "refuses a claim under an earlier view than the previous claim, and changes nothing",
        arguments: StoreUnderTest.available)
    func outdatedClaim(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await store.createConversation(rex, by: mine)
        #expect(
            await store.request(.claim(shard: rex.shard, owner: mine, view: 7)).text == "claimed 2")
        #expect(
            await store.request(.claim(shard: rex.shard, owner: other, view: 6)).text
                == "outdated by 7")
        #expect(await store.request(.claim(shard: rex.shard, owner: other)).text == "outdated by 7")
        owner.epoch = 2
        #expect(await store.write([owner.post("still mine")], by: mine) == .stored)
        #expect(
            await store.request(.claim(shard: rex.shard, owner: other, view: 7)).text == "claimed 3"
        )
        #expect(
            await store.request(.claim(shard: kim.shard, owner: other, view: 1)).text == "claimed 1"
        )
    }

    @Test(
        "refuses a writer that has been replaced, and names the epoch it lost to",
        arguments: StoreUnderTest.available)
    func replacedOwner(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var old = await store.createConversation(rex, by: mine)
        var new = old
        new.epoch = await store.claim(rex.shard, by: other)
        #expect(await store.write([old.post("late")], by: mine) == .refused([0: .fenced(2)]))
        #expect(await store.write([new.post("mine")], by: other) == .stored)
        #expect(await store.page(rex, .newest)?.messages.map(\.body.content) == ["mine"])
    }

    @Test(
        "refuses the right epoch from another owner, or from another loop of the same node",
        arguments: StoreUnderTest.available)
    func stolenEpoch(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await store.createConversation(rex, by: mine)
        #expect(await store.write([owner.post("a")], by: other) == .refused([0: .fenced(1)]))
        var again = await store.createConversation(kim, by: mine)
        #expect(
            await store.write([again.post("a")], by: LoopID(incarnation: 1, loop: 1))
                == .refused([0: .fenced(1)]))
    }

    @Test(
        "refuses every write to an unclaimed shard",
        arguments: StoreUnderTest.available)
    func unclaimed(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = TestOwner(key: rex, id: mine, epoch: 0)
        #expect(await store.write([owner.create()], by: mine) == .refused([0: .fenced(0)]))
        owner = TestOwner(key: rex, id: mine, epoch: 1)
        #expect(await store.write([owner.create()], by: mine) == .refused([0: .fenced(0)]))
        #expect(await store.load(rex) == nil)
    }

    @Test(
        "numbers changes and messages without gaps, and refuses any other number",
        arguments: StoreUnderTest.available)
    func consecutive(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await store.createConversation(rex)
        #expect(await store.write([owner.post("one"), owner.post("two")], by: owner) == .stored)
        var repeated = owner
        repeated.revision = 2
        repeated.head = 1
        #expect(
            await store.write([repeated.post("two again")], by: owner)
                == .refused([0: .revisionMismatch(stored: 3)]))
        var ahead = owner
        ahead.revision = 4
        #expect(
            await store.write([ahead.post("revision ahead")], by: owner)
                == .refused([0: .revisionMismatch(stored: 3)]))
        ahead = owner
        ahead.head = 3
        #expect(
            await store.write([ahead.post("number ahead")], by: owner)
                == .refused([0: .revisionMismatch(stored: 3)]))
        #expect(await store.load(rex)?.revision == 3)
        #expect(await store.load(rex)?.head == 2)
    }

    @Test(
        "creates a conversation only once, and refuses other writes to a missing one",
        arguments: StoreUnderTest.available)
    func creation(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var early = TestOwner(key: rex, id: mine, epoch: await store.claim(rex.shard, by: mine))
        #expect(
            await store.write([early.post("nowhere")], by: mine)
                == .refused([0: .revisionMismatch(stored: 0)]))
        early.revision = 4
        #expect(
            await store.write([early.create("late")], by: mine)
                == .refused([0: .revisionMismatch(stored: 0)]))
        early.revision = 0
        #expect(await store.write([early.create("title")], by: mine) == .stored)
        #expect(
            await store.write([early.create("again")], by: mine)
                == .refused([0: .revisionMismatch(stored: 1)]))
        #expect(await store.load(rex)?.record.title == "title")
    }

    @Test(
        "refuses a conversation's later writes in the batch after a refused one",
        arguments: StoreUnderTest.available)
    func refusalSpreads(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await store.createConversation(rex)
        var second = await store.createConversation(kim)
        _ = await store.write([owner.join("ann")], by: owner)
        var wrong = owner
        wrong.revision += 1
        let batch = [
            owner.post("one"), second.post("first"), wrong.post("wrong"), owner.post("two"),
            owner.cursors("ann", read: 1, delivered: 1),
            second.post("second"),
        ]
        let refusal = WriteRefusal.revisionMismatch(stored: 3)
        #expect(
            await store.write(batch, by: owner) == .refused([2: refusal, 3: refusal, 4: refusal]))
        #expect(await store.page(rex, .newest)?.messages.map(\.body.content) == ["one"])
        #expect(
            await store.page(kim, .newest)?.messages.map(\.body.content) == ["first", "second"])
        #expect(await store.load(rex)?.members.first?.readCursor == 0)
    }

    @Test(
        "keeps every part of a message and of a conversation", arguments: StoreUnderTest.available)
    func allFields(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await store.createConversation(rex, title: "a title with ünïcode")
        let texts = [
            "", "plain", "e\u{301} is not é", "\u{0}zero inside\u{0}",
            String(repeating: "long ", count: 5000),
        ]
        var writes = texts.map {
            owner.post(
                $0, by: "robot", clientID: "id \($0.utf8.count)", metadata: Array("{\"a\":1}".utf8))
        }
        writes += [owner.post("bare"), owner.post("empty metadata", metadata: [])]
        #expect(await store.write(writes, by: owner) == .stored)
        let expected = writes.compactMap { write in
            if case .message(let message) = write.change { message.text } else { nil }
        }
        #expect(await store.page(rex, .newest)?.messages.map(\.text) == expected)
        let loaded = await store.load(rex)
        #expect(loaded?.record.title == "a title with ünïcode")
        #expect(loaded?.record.joinPolicy == .open)
        #expect(loaded?.record.creator == TestOwner.person("ann").id)
        #expect(loaded?.record.createdAt == TestOwner.time(0))
        #expect(loaded?.record.updatedAt == TestOwner.time(8))
        #expect(loaded?.record.endedAt == nil)
    }

    @Test(
        "changes an amended message's content and revision, and keeps its number, time and author",
        arguments: StoreUnderTest.available)
    func amend(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await store.createConversation(rex)
        _ = await store.write([owner.post("one", clientID: "c1"), owner.post("two")], by: owner)
        let first = try #require(await store.page(rex, .newest)?.messages.first)
        #expect(await store.write([owner.edit(first, to: "uno")], by: owner) == .stored)
        let edited = try #require(await store.page(rex, .newest)?.messages.first)
        #expect(edited.text == first.edited(to: "uno", revision: 4).text)
        #expect(await store.load(rex)?.record.updatedAt == TestOwner.time(4))
        let forged = MessageBody(
            author: TestOwner.person("bob"), clientMessageID: nil, content: "uno")
        let forgery = Message(
            sequence: 1, revision: 5, sentAt: TestOwner.time(99), state: .edited, body: forged)
        #expect(
            await store.write(
                [
                    owner.write(
                        .amend(
                            forgery, .edited(content: forgery.body.content), at: TestOwner.time(5)))
                ], by: owner)
                == .stored)
        #expect(
            await store.page(rex, .newest)?.messages.first?.text
                == first.edited(to: "uno", revision: 5).text, "more than words changed")
        #expect(await store.load(rex)?.head == 2)
    }

    @Test(
        "never gives a deleted message content again, though the change counts",
        arguments: StoreUnderTest.available)
    func deletionStays(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await store.createConversation(rex)
        _ = await store.write([owner.post("secret", clientID: "c1", metadata: [1])], by: owner)
        let message = try #require(await store.page(rex, .newest)?.messages.first)
        #expect(
            await store.write(
                [owner.delete(message), owner.edit(message, to: "revived")], by: owner)
                == .stored)
        let page = try #require(await store.page(rex, .newest))
        #expect(page.messages.map(\.text) == [message.deleted(revision: 3).text])
        #expect(page.messages.first?.body.clientMessageID?.text == "c1")
        #expect(page.revision == 4)
    }

    @Test("refuses to amend a message that was never sent", arguments: StoreUnderTest.available)
    func amendNothing(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await store.createConversation(rex)
        let body = MessageBody(author: TestOwner.person("ann"), clientMessageID: nil, content: "")
        for sequence in [-1, 0, 1] {
            var attempt = owner
            let message = Message(
                sequence: sequence, revision: 1, sentAt: TestOwner.time(1), body: body)
            #expect(
                await store.write([attempt.edit(message, to: "x")], by: owner)
                    == .refused([0: .revisionMismatch(stored: 1)]))
        }
        #expect(await store.write([owner.post("still fits")], by: owner) == .stored)
    }

    @Test("adds, changes and removes members", arguments: StoreUnderTest.available)
    func members(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await store.createConversation(rex)
        _ = await store.write(
            [owner.join("bob", read: 3), owner.join("ann", role: .creator), owner.join("cat")],
            by: owner)
        _ = await store.write(
            [
                owner.join("bob", role: .admin, read: 1),
                owner.write(.remove(TestOwner.person("cat").id)),
            ], by: owner)
        _ = await store.write([owner.write(.remove(TestOwner.person("nobody").id))], by: owner)
        let loaded = try #require(await store.load(rex))
        #expect(loaded.revision == 7)
        let members = loaded.members.sorted { $0.user < $1.user }
        #expect(members.map(\.name) == ["ann's name", "bob's name"])
        #expect(members.map(\.role) == [.creator, .admin])
        #expect(members.map(\.readCursor) == [0, 3], "a cursor moved back")
    }

    @Test(
        "moves cursors only forward, gives them no revision, and ignores those of non-members",
        arguments: StoreUnderTest.available)
    func cursors(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await store.createConversation(rex)
        _ = await store.write(
            [owner.join("ann"), owner.cursors("ann", read: 3, delivered: 7)], by: owner)
        #expect(
            await store.write(
                [
                    owner.cursors("ann", read: 5, delivered: 2),
                    owner.cursors("bob", read: 5, delivered: 5),
                ], by: owner)
                == .stored)
        let loaded = try #require(await store.load(rex))
        #expect(loaded.members.map(\.readCursor) == [5])
        #expect(loaded.members.map(\.deliveredCursor) == [7])
        #expect(loaded.revision == 2)
        var nowhere = TestOwner(
            key: kim, id: owner.id, epoch: await store.claim(kim.shard, by: owner.id))
        #expect(
            await store.write([nowhere.cursors("ann", read: 1, delivered: 1)], by: owner)
                == .stored)
        #expect(await store.load(kim) == nil)
    }

    @Test("refuses cursors from an owner that was replaced", arguments: StoreUnderTest.available)
    func fencedCursors(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await store.createConversation(rex, by: mine)
        _ = await store.write([owner.join("ann")], by: owner)
        _ = await store.claim(rex.shard, by: other)
        #expect(
            await store.write([owner.cursors("ann", read: 1, delivered: 1)], by: mine)
                == .refused([0: .fenced(2)]))
    }

    @Test(
        "keeps the time of a conversation's first end", arguments: StoreUnderTest.available)
    func end(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await store.createConversation(rex)
        _ = await store.write(
            [
                owner.write(.end(at: TestOwner.time(50))),
                owner.write(.end(at: TestOwner.time(60))),
            ], by: owner)
        let record = try #require(await store.load(rex)?.record)
        #expect(record.endedAt == TestOwner.time(50))
        #expect(record.updatedAt == TestOwner.time(60))
    }

    @Test(
        "counts a skipped revision, and changes nothing else",
        arguments: StoreUnderTest.available)
    func skip(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await store.createConversation(rex)
        _ = await store.write(
            [owner.post("one"), owner.write(.skip), owner.post("two")], by: owner)
        #expect(await store.load(rex)?.revision == 4)
        #expect(await store.page(rex, .newest)?.messages.map(\.revision) == [2, 4])
        owner.revision += 1
        #expect(
            await store.write([owner.write(.skip)], by: owner)
                == .refused([0: .revisionMismatch(stored: 4)]))
    }

    @Test(
        "distinguishes tenants, and ids that only look alike", arguments: StoreUnderTest.available)
    func keys(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        let keys = [("a", "bc"), ("ab", "c"), ("a", "é"), ("a", "e\u{301}"), ("A", "bc")].map {
            ConversationKey(tenant: .init($0.0), id: .init($0.1))
        }
        for (number, key) in keys.enumerated() {
            _ = await store.createConversation(key, title: "\(number)")
        }
        for (number, key) in keys.enumerated() {
            #expect(await store.load(key)?.record.title == "\(number)")
        }
    }

    @Test(
        "executes batches in their order, even if some of them add members",
        arguments: StoreUnderTest.available)
    func batchesInOrder(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(1000)
        var owner = await store.createConversation(rex)
        var second = await store.createConversation(kim)
        let collector = AnswerCollector()
        for number in 0..<60 {
            var writes = [owner.post("\(number)")]
            if number % 3 != 1 { writes.append(owner.join("user \(number)")) }
            if number % 4 == 0 { writes.append(second.post("\(number)")) }
            if number % 5 == 0 {
                writes.append(owner.cursors("user 0", read: number, delivered: number))
            }
            collector.submit(.write(WriteBatch(owner: owner.id, writes: writes)), to: store)
        }
        let answers = await collector.answers(60)
        #expect(answers.map(\.ticket.rawValue) == Array(0..<60))
        #expect(Set(answers.map(\.answer.text)) == ["stored"])
        #expect(
            await store.page(rex, .newest)?.messages.map(\.body.content) == (0..<60).map { "\($0)" }
        )
        #expect(await store.load(rex)?.members.count == 40)
        #expect(await store.load(kim)?.head == 15)
        #expect(await store.memberships(of: "user 0")?.memberships.first?.member.readCursor == 55)
    }

    @Test("answers a probe", arguments: StoreUnderTest.available)
    func probe(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        #expect(await store.request(.probe).text == "done")
        #expect(await store.request(.probe).text == "done")
    }
}
