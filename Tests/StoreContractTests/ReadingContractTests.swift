import Bytes
import ChatModel
import EmbeddedStore
import StoreTestSupport
import TestKit
import TestTraits
import Testing

private let rex = ConversationKey(tenant: "acme", id: "rex")

@Suite("Every store, when read,", .ownThread)
struct ReadingContractTests {
    /// Creates a conversation with messages "1" to "count", alternately by ann and bob.
    private func writeMessages(_ store: any ChatStore, _ count: Int) async throws -> TestOwner {
        var owner = await store.createConversation(rex)
        let writes = (1...count).map {
            owner.post("\($0)", by: $0 % 2 == 1 ? "ann" : "bob", clientID: "c\($0)")
        }
        #expect(await store.write(writes, by: owner) == .stored)
        return owner
    }

    @Test(
        "finds nothing of a conversation that does not exist", arguments: StoreUnderTest.available)
    func missingConversation(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        #expect(await store.request(.load(rex)).text == "no conversation")
        #expect(
            await store.request(.page(rex, .newest, limit: 9)).text
                == MessagePage(messages: [], head: 0, oldest: 1, revision: 0).text)
        #expect(
            await store.request(.changes(rex, after: 0, since: 0, limit: 9)).text
                == MessagePage(messages: [], head: 0, oldest: 1, revision: 0).text)
        #expect(await store.recent(rex, limit: 9)?.count == 0)
        #expect(await store.unread(rex, after: 0, by: TestOwner.person("ann").id) == 0)
    }

    @Test(
        "returns a member's agent and the origin of its name, whatever its cursors do",
        arguments: StoreUnderTest.available)
    func agents(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await store.createConversation(rex)
        func member(_ agent: ByteString?, _ isNameGiven: Bool) -> Write {
            var member = Member(
                user: TestOwner.person("ann").id, name: "Ann of the hill", agent: agent,
                role: .creator, joinedAt: TestOwner.time(2), readCursor: 1)
            member.isNameGiven = isNameGiven
            return owner.write(.member(member))
        }
        for (agent, isGiven) in [
            (nil, false), ("helper 1", false), ("another", true), (nil, true), ("ö", false),
        ] as [(ByteString?, Bool)] {
            #expect(
                await store.write(
                    [member(agent, isGiven), owner.cursors("ann", read: 3, delivered: 4)], by: owner
                )
                    == .stored)
            for member in [
                try #require(await store.load(rex)?.members.first),
                try #require(await store.memberships(of: "ann")?.memberships.first?.member),
            ] {
                #expect(member.agent == agent)
                #expect(member.isNameGiven == isGiven)
                #expect(member.name == "Ann of the hill")
                #expect(member.readCursor == 3)
            }
        }
    }

    @Test(
        "returns each role, also beside a name that another user gave, and lists members only",
        arguments: StoreUnderTest.available)
    func roles(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await store.createConversation(rex)
        for role in [.admin, .departed, .member, .removed, .creator] as [Member.Role] {
            for isGiven in [true, false] {
                var member = Member(
                    user: TestOwner.person("ann").id, name: "Ann of the hill", role: role,
                    joinedAt: TestOwner.time(2))
                member.isNameGiven = isGiven
                #expect(await store.write([owner.write(.member(member))], by: owner) == .stored)
                let loaded = try #require(await store.load(rex)?.members.first)
                #expect(loaded.role == role && loaded.isNameGiven == isGiven)
                let memberships = try #require(await store.memberships(of: "ann")).memberships
                #expect(memberships.map(\.member.role) == (role.isMember ? [role] : []))
            }
        }
    }

    @Test(
        "returns the next sequence number as the oldest of an empty conversation",
        arguments: StoreUnderTest.available)
    func empty(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        _ = await store.createConversation(rex)
        let loaded = try #require(await store.load(rex))
        #expect(loaded.head == 0)
        #expect(loaded.oldest == 1)
        #expect(loaded.revision == 1)
        #expect(await store.page(rex, .newest)?.messages.isEmpty == true)
    }

    @Test(
        "pages from the end, below a number and above one, always oldest first",
        arguments: StoreUnderTest.available)
    func pages(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        _ = try await self.writeMessages(store, 10)
        let expectations: [(PageRange, Int, [Int])] = [
            (.newest, 3, [8, 9, 10]), (.newest, 100, Array(1...10)), (.newest, 0, []),
            (.newest, -1, []), (.newest, .max, Array(1...10)),
            (.before(4), 2, [2, 3]), (.before(4), 9, [1, 2, 3]), (.before(1), 9, []),
            (.before(99), 2, [9, 10]), (.before(.max), 1, [10]),
            (.before(.min), 9, []), (.after(7), 2, [8, 9]), (.after(7), 9, [8, 9, 10]),
            (.after(10), 9, []), (.after(.max), 9, []),
            (.after(-5), 2, [1, 2]), (.after(.min), .max, Array(1...10)), (.after(0), 1, [1]),
        ]
        for (range, limit, numbers) in expectations {
            let page = try #require(await store.page(rex, range, limit: limit))
            #expect(page.messages.map(\.sequence) == numbers, "\(range), \(limit)")
            #expect(page.head == 10)
            #expect(page.oldest == 1)
            #expect(page.revision == 11)
            #expect(page.amended.isEmpty)
        }
    }

    @Test(
        "never returns more messages than its history limit, and no gap in them",
        arguments: StoreUnderTest.available, [1, 3, 64, 100])
    func history(_ kind: StoreUnderTest, limit: Int) async throws {
        let store = try kind.open(limit)
        var owner = await store.createConversation(rex)
        for round in 1...30 {
            _ = await store.write((0..<15).map { owner.post("\(round).\($0)") }, by: owner)
            let head = round * 15
            let page = try #require(await store.page(rex, .after(0), limit: .max))
            #expect(page.messages.map(\.sequence) == Array(max(1, head - limit + 1)...head))
            #expect(page.oldest == max(1, head - limit + 1))
            #expect(await store.load(rex)?.oldest == page.oldest)
            #expect(await store.page(rex, .before(page.oldest))?.messages.count == 0)
        }
        #expect(await store.recent(rex, limit: .max)?.count == limit)
        #expect(await store.unread(rex, after: 0, by: TestOwner.person("bob").id) == limit)
    }

    @Test("keeps all messages if the limit is 0", arguments: StoreUnderTest.unlimited)
    func unlimited(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(0)
        _ = try await self.writeMessages(store, 400)
        #expect(await store.page(rex, .after(0))?.messages.map(\.sequence) == Array(1...400))
    }

    @Test(
        "counts the amendment of a trimmed message, but does not return it",
        arguments: StoreUnderTest.available)
    func amendForgotten(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(5)
        var owner = await store.createConversation(rex)
        _ = await store.write([owner.post("1")], by: owner)
        let first = try #require(await store.page(rex, .newest)?.messages.first)
        _ = await store.write(
            (2...9).map { owner.post("\($0)") } + [owner.edit(first, to: "uno")], by: owner)
        let changes = try #require(await store.changes(rex, after: 9, since: 0))
        #expect(changes.amended.isEmpty)
        #expect(changes.revision == 11)
    }

    @Test(
        "returns the changes: new messages, and older ones that were amended since",
        arguments: StoreUnderTest.available)
    func changes(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = try await self.writeMessages(store, 6)
        let old = try #require(await store.page(rex, .newest)?.messages)
        _ = await store.write(
            [
                owner.edit(old[3], to: "vier"), owner.delete(old[0]),
                owner.edit(old[3], to: "quattro"),
            ], by: owner)
        _ = await store.write([owner.post("7"), owner.edit(old[5], to: "sechs")], by: owner)

        let all = try #require(await store.changes(rex, after: 5, since: 7))
        #expect(all.messages.map(\.sequence) == [6, 7])
        #expect(all.messages.map(\.body.content) == ["sechs", "7"])
        #expect(all.amended.map(\.sequence) == [1, 4])
        #expect(all.amended.map(\.body.content) == ["", "quattro"])
        #expect(all.revision == 12)

        #expect(await store.changes(rex, after: 7, since: 9)?.amended.map(\.sequence) == [4, 6])
        #expect(await store.changes(rex, after: 7, since: 12)?.amended.count == 0)
        #expect(
            await store.changes(rex, after: 0, since: 0, limit: 2)?.messages.map(\.sequence) == [
                1, 2,
            ])
        #expect(
            await store.changes(rex, after: 3, since: 7, limit: 1)?.amended.map(\.sequence) == [1])
    }

    @Test(
        "returns amended messages in the order of their amendments, up to the limit",
        arguments: StoreUnderTest.available)
    func amended(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        #expect(
            await store.request(.amended(rex, through: 9, since: 0, limit: 9)).text
                == MessagePage(messages: [], head: 0, oldest: 1, revision: 0).text)
        var owner = try await self.writeMessages(store, 6)
        let old = try #require(await store.page(rex, .newest)?.messages)
        _ = await store.write(
            [
                owner.edit(old[3], to: "vier"), owner.delete(old[0]),
                owner.edit(old[3], to: "quattro"),
            ], by: owner)
        _ = await store.write([owner.post("7"), owner.edit(old[5], to: "sechs")], by: owner)

        let all = try #require(await store.amended(rex, through: 7, since: 7))
        #expect(all.amended.map(\.sequence) == [1, 4, 6])
        #expect(all.amended.map(\.body.content) == ["", "quattro", "sechs"])
        #expect(all.amended.map(\.revision) == all.amended.map(\.revision).sorted())
        #expect(all.messages.isEmpty && all.revision == 12 && all.head == 7 && all.oldest == 1)
        #expect(
            await store.amended(rex, through: 7, since: 7, limit: 2)?.amended.map(\.sequence) == [
                1, 4,
            ])
        #expect(
            await store.amended(rex, through: 7, since: all.amended[1].revision)?.amended.map(
                \.sequence) == [6])
        #expect(await store.amended(rex, through: 5, since: 0)?.amended.map(\.sequence) == [1, 4])
        #expect(await store.amended(rex, through: 0, since: 0)?.amended.count == 0)
        #expect(await store.amended(rex, through: .max, since: .max)?.amended.count == 0)
        #expect(await store.amended(rex, through: .max, since: .min, limit: -1)?.amended.count == 0)
        // Trimmed messages are left out.
        let short = try kind.open(3)
        var other = try await self.writeMessages(short, 5)
        let retained = try #require(await short.page(rex, .newest)?.messages)
        _ = await short.write(
            retained.reversed().map { other.edit($0, to: "x") } + [other.post("6")], by: other)
        #expect(await short.amended(rex, through: 6, since: 0)?.amended.map(\.sequence) == [5, 4])
    }

    @Test(
        "returns the newest messages' authors and client ids, including deleted ones, oldest first",
        arguments: StoreUnderTest.available)
    func recent(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = try await self.writeMessages(store, 6)
        let last = try #require(await store.page(rex, .newest, limit: 1)?.messages.first)
        _ = await store.write([owner.delete(last)], by: owner)
        let recent = try #require(await store.recent(rex, limit: 2))
        #expect(recent.map(\.sequence) == [5, 6])
        #expect(recent.map(\.author) == [TestOwner.person("ann").id, TestOwner.person("bob").id])
        #expect(recent.map { $0.clientMessageID?.text } == ["c5", "c6"])
        #expect(recent.map(\.sentAt) == [TestOwner.time(6), TestOwner.time(7)])
        #expect(await store.recent(rex, limit: 0)?.count == 0)
    }

    @Test("counts the messages of other users above a number", arguments: StoreUnderTest.available)
    func unread(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        _ = try await self.writeMessages(store, 9)
        let ann = TestOwner.person("ann").id
        #expect(await store.unread(rex, after: 0, by: ann) == 4)
        #expect(await store.unread(rex, after: 4, by: ann) == 2)
        #expect(await store.unread(rex, after: 9, by: ann) == 0)
        #expect(await store.unread(rex, after: .max, by: ann) == 0)
        #expect(await store.unread(rex, after: .min, by: TestOwner.person("stranger").id) == 9)
    }

    @Test(
        "returns a stored message at once to every reader",
        arguments: StoreUnderTest.available)
    func readYourWrites(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(1000)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<8 {
                group.addTask {
                    let key = ConversationKey(tenant: "acme", id: ByteString("c\(number)"))
                    var owner = await store.createConversation(key)
                    for round in 1...60 {
                        #expect(await store.write([owner.post("\(round)")], by: owner) == .stored)
                        #expect(
                            await store.page(key, .newest, limit: 1)?.messages.first?.body.content
                                == "\(round)")
                        #expect(await store.load(key)?.head == round)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    @Test(
        "answers thousands of random requests as the model does",
        arguments: StoreUnderTest.available, TestRun.isLong ? [1, 2, 3] : [1] as [UInt64])
    func matchesModel(_ kind: StoreUnderTest, seed: UInt64) async throws {
        let history = 20
        let store = try kind.open(history)
        var model = MemoryTables(history: history)
        var requests = RandomRequests(seed: seed, tenant: "acme", conversations: 5)
        var stored = 0
        let count = TestRun.isLong ? 3000 : 1000
        for number in 0..<count {
            let request = requests.next { model.execute($0) }
            let expected = model.execute(request)
            let answer = await store.request(request)
            if answer.text == "stored" { stored += 1 }
            guard answer.text == expected.text else {
                Issue.record(
                    """
                    seed \(seed), request \(number): \(request) was answered
                    \(answer.text)
                    instead of
                    \(expected.text)
                    """
                )
                return
            }
            if case .claim(let shard, let owner, _) = request, case .claimed(let epoch) = answer {
                requests.recordClaim(shard, epoch, by: owner)
            }
        }
        #expect(stored > count / 6, "the random requests contained too few valid writes")
    }
}
