import Bytes
import ChatModel
import StoreTestSupport
import TestTraits
import Testing

private let rex = ConversationKey(tenant: "acme", id: "rex")

@Suite("Message features in Redis", .programs, .ownThread)
struct RedisAnnotationTests {
    private static func user(_ name: String) -> UserID { TestOwner.person(name).id }

    private static func reactions(_ emoji: ByteString, by users: String...) -> Reactions {
        Reactions([Reactions.UserGroup(Emoji(stored: emoji), users: users.map(Self.user))])
    }

    private static func pin(_ isPinned: Bool = true, at time: Int64 = 90) -> PinState {
        PinState(
            isPinned: isPinned, by: TestOwner.person("cat"), at: Timestamp(milliseconds: time))
    }

    private static func post(
        _ content: String, by author: String = "ann", replyTo: Reply? = nil,
        _ mentions: Mentions? = nil, _ owner: inout TestOwner
    ) -> Write {
        let write = owner.post(content, by: author)
        guard case .message(var message) = write.change else { return write }
        message.body = message.body.with(MessageAnnotations(reply: replyTo, mentions: mentions))
        return Write(
            conversation: write.conversation, shard: write.shard, epoch: write.epoch,
            revision: write.revision, change: .message(message))
    }

    private static func react(
        _ message: Message, _ reactions: Reactions, _ owner: inout TestOwner
    ) -> Write {
        owner.write(
            .amend(
                message.reacted(with: reactions, revision: owner.revision + 1), .reacted([]),
                at: nil))
    }

    private static func pin(_ message: Message, _ pin: PinState, _ owner: inout TestOwner) -> Write
    {
        owner.write(
            .amend(message.pinned(pin, revision: owner.revision + 1), .pinned(pin), at: nil))
    }

    private static func name(_ store: RedisUnderTest, _ part: String) -> String {
        "\(store.name):{s\(rex.shard)}:\(part):acme:rex"
    }

    private static func messages(_ store: RedisUnderTest) async throws -> [Message] {
        try #require(await store.page(rex, .newest)).messages
    }

    @Test(
        "are in keys that plain conversations do not have", arguments: RedisUnderTest.Kind.allCases)
    func plain(_ kind: RedisUnderTest.Kind) async throws {
        let store = try RedisUnderTest(kind, history: 100)
        var owner = await store.createConversation(rex)
        _ = await store.write([owner.post("one"), owner.post("two")], by: owner)
        let first = try #require(try await Self.messages(store).first)
        _ = await store.write([owner.edit(first, to: "uno"), owner.delete(first)], by: owner)
        for part in ["threads", "pins"] {
            #expect(try store.redisCLI("EXISTS", Self.name(store, part)) == "0")
        }
        #expect(try store.redisCLI("HEXISTS", Self.name(store, "conv"), "pinning") == "0")
        #expect(await store.load(rex)?.record.pinPolicy == .members)
    }

    @Test("include the pin policy")
    func policy() async throws {
        let store = try RedisUnderTest(.standalone, history: 100)
        var owner = TestOwner(
            key: rex, id: LoopID(incarnation: 1, loop: 0),
            epoch: await store.claim(rex.shard, by: LoopID(incarnation: 1, loop: 0)))
        let record = ConversationRecord(
            .unlisted, pinPolicy: .creator, creator: nil, createdAt: TestOwner.time(0))
        #expect(await store.write([owner.write(.create(record))], by: owner) == .stored)
        #expect(await store.load(rex)?.record == record)
        try store.redisCLI("HSET", Self.name(store, "conv"), "pinning", "7")
        guard case .failed(let failure) = await store.request(.load(rex)) else {
            Issue.record("a pin policy that nobody has stored")
            return
        }
        #expect(failure.description.contains("pinning is 7"))
    }

    @Test(
        "store reactions without making activity of them, and without the text a second time",
        arguments: RedisUnderTest.Kind.allCases)
    func reactions(_ kind: RedisUnderTest.Kind) async throws {
        let store = try RedisUnderTest(kind, history: 100)
        var owner = await store.createConversation(rex)
        let reply = Reply(to: 1, thread: 1)
        let mentions = Mentions(users: [Self.user("bob")], nonMembers: [Self.user("zed")])
        _ = await store.write(
            [owner.post("one"), Self.post("two", replyTo: reply, mentions, &owner)], by: owner)
        let before = await store.load(rex)?.record.updatedAt
        let second = try #require(try await Self.messages(store).last)
        #expect(second.body.annotations?.mentions == mentions)
        let hearts = Self.reactions("❤", by: "bob", "cat")
        _ = await store.write([Self.react(second, hearts, &owner)], by: owner)
        let reacted = try #require(try await Self.messages(store).last)
        #expect(reacted.body.annotations?.reactions == hearts)
        #expect(reacted.body.annotations?.reply == reply)
        #expect(reacted.body.annotations?.mentions == mentions)
        #expect(reacted.state == .asSent && reacted.body.content == "two" && reacted.revision == 4)
        #expect(await store.load(rex)?.record.updatedAt == before)
        #expect(
            await store.changes(rex, after: 2, since: 3)?.amended.first?.body.annotations?.reactions
                == hearts)
        #expect(
            await store.amended(rex, through: 2, since: 3)?.amended.first?.body.annotations?
                .reactions == hearts)
        // An edit keeps them, and their removal is a state too.
        _ = await store.write([owner.edit(reacted, to: "zwei")], by: owner)
        let edited = try #require(try await Self.messages(store).last)
        #expect(edited.body.annotations?.reactions == hearts && edited.body.content == "zwei")
        _ = await store.write([Self.react(edited, Reactions(), &owner)], by: owner)
        #expect(
            try await Self.messages(store).last?.body.annotations?.reactions == Reactions())
        // A deletion keeps only the reply.
        _ = await store.write([owner.delete(edited)], by: owner)
        let deleted = try #require(try await Self.messages(store).last?.body.annotations)
        #expect(deleted.reply == reply && deleted.mentions == nil && deleted.reactions == nil)
    }

    @Test("keep a pinned message that is trimmed", arguments: RedisUnderTest.Kind.allCases)
    func pins(_ kind: RedisUnderTest.Kind) async throws {
        let store = try RedisUnderTest(kind, history: 10)
        var owner = await store.createConversation(rex)
        _ = await store.write(
            [owner.post("one"), owner.post("two"), owner.post("three")], by: owner)
        let messages = try await Self.messages(store)
        _ = await store.write(
            [
                Self.pin(messages[1], Self.pin(at: 20), &owner),
                Self.pin(messages[0], Self.pin(at: 30), &owner),
                Self.pin(messages[2], Self.pin(at: 10), &owner),
            ], by: owner)
        #expect(await store.load(rex)?.pins.map(\.sequence) == [3, 2, 1])
        _ = await store.write((0..<300).map { owner.post("filler \($0)") }, by: owner)
        var pins = try #require(await store.load(rex)?.pins)
        #expect(pins.map(\.body.content) == ["three", "two", "one"])
        #expect(pins.first?.body.annotations?.pin == Self.pin(at: 10))
        // Changes of trimmed messages change the copy.
        _ = await store.write(
            [
                owner.edit(pins[0], to: "drei"), Self.pin(pins[1], Self.pin(false), &owner),
                owner.delete(pins[2]),
            ], by: owner)
        pins = try #require(await store.load(rex)?.pins)
        #expect(pins.map(\.body.content) == ["drei"])
        #expect(pins.first?.isPinned == true && pins.first?.state == .edited)
    }

    @Test(
        "find threads, and the messages that a page replies to",
        arguments: RedisUnderTest.Kind.allCases)
    func threads(_ kind: RedisUnderTest.Kind) async throws {
        let store = try RedisUnderTest(kind, history: 100)
        var owner = await store.createConversation(rex)
        func reply(_ to: Int, _ thread: Int) -> Write {
            Self.post("to \(to)", replyTo: Reply(to: to, thread: thread), nil, &owner)
        }
        _ = await store.write(
            [owner.post("1"), owner.post("2"), reply(1, 1), reply(2, 2), reply(3, 1), reply(1, 1)],
            by: owner)
        let first = try #require(try await Self.messages(store).first)
        _ = await store.write([owner.edit(first, to: "one")], by: owner)
        let all = try #require(await store.page(rex, .newest))
        #expect(all.replyTargets.isEmpty)
        #expect(
            all.threads == [
                1: ThreadSummary(replyCount: 3, lastReply: 6),
                2: ThreadSummary(replyCount: 1, lastReply: 4),
            ])
        let newest = try #require(await store.page(rex, .newest, limit: 2))
        #expect(newest.messages.map(\.sequence) == [5, 6] && newest.threads.isEmpty)
        #expect(
            newest.replyTargets.map { "\($0.sequence) \($0.body.content)" }.sorted()
                == ["1 one", "3 to 1"])
        for (range, limit, expected) in [
            (PageRange.newest, 10, [1, 3, 5, 6]), (.newest, 2, [5, 6]), (.newest, 0, []),
            (.before(6), 2, [3, 5]), (.before(5), 9, [1, 3]), (.before(1), 9, []),
            (.after(0), 2, [1, 3]), (.after(1), 2, [3, 5]), (.after(3), 9, [5, 6]),
            (.after(6), 9, []), (.after(.max), 9, []), (.before(.max), 1, [6]),
        ] {
            guard
                case .page(let page) = await store.request(
                    .thread(rex, root: 1, range, limit: PageLimit(messages: limit)))
            else {
                Issue.record("\(range)")
                continue
            }
            #expect(page.messages.map(\.sequence) == expected, "\(range) \(limit)")
            #expect(page.threads.keys.sorted() == (expected.contains(1) ? [1] : []), "\(range)")
            let shown = Set(expected)
            let targets = [3: 1, 5: 3, 6: 1].filter { shown.contains($0.key) }.values
            #expect(
                Set(page.replyTargets.map(\.sequence)) == Set(targets).subtracting(shown),
                "\(range) \(limit)")
        }
    }

    @Test("forget the replies that are trimmed, and little later than these")
    func trimmedThreads() async throws {
        let store = try RedisUnderTest(.standalone, history: 10)
        var owner = await store.createConversation(rex)
        for _ in 0..<10 {
            // Every other message begins a thread, and the next one replies to it.
            let writes = (0..<64).map { number in
                number % 2 == 0
                    ? owner.post("root")
                    : Self.post(
                        "reply", replyTo: Reply(to: owner.head, thread: owner.head), nil, &owner)
            }
            #expect(await store.write(writes, by: owner) == .stored)
        }
        #expect(await store.page(rex, .newest)?.threads.count == 5)
        // The store requests the trimming after every 64th message.
        let count = Int(try store.redisCLI("ZCARD", Self.name(store, "threads")))
        #expect((5...37).contains(count ?? 0), "\(count ?? 0)")
    }

    @Test("are written with a message of which only the amended form is left")
    func amendedForm() async throws {
        let store = try RedisUnderTest(.standalone, history: 100)
        var owner = await store.createConversation(rex)
        let write = owner.post("one")
        guard case .message(var message) = write.change else { return }
        let annotations = MessageAnnotations(
            reply: nil, mentions: nil, reactions: Self.reactions("❤", by: "bob"), pin: Self.pin())
        message.body = message.body.with(annotations)
        let posted = Write(
            conversation: rex, shard: rex.shard, epoch: owner.epoch, revision: 2,
            change: .message(message))
        #expect(await store.write([posted], by: owner) == .stored)
        let stored = try #require(try await Self.messages(store).first)
        #expect(stored.body.annotations?.reactions == annotations?.reactions)
        #expect(await store.load(rex)?.pins.map(\.text) == [stored.text])
        #expect(await store.changes(rex, after: 1, since: 1)?.amended.count == 1)
    }

    @Test("count unread mentions of exactly this user", arguments: RedisUnderTest.Kind.allCases)
    func mentions(_ kind: RedisUnderTest.Kind) async throws {
        let store = try RedisUnderTest(kind, history: 100)
        var owner = await store.createConversation(rex)
        func post(_ mentions: Mentions?, by author: String = "ann") -> Write {
            Self.post("x", by: author, mentions, &owner)
        }
        let names = ["bob", "bobby", "bo", "3 bob"].map(Self.user)
        _ = await store.write(
            [
                owner.join("bob", read: 1), owner.join("3 bob"), owner.join("bobby"),
                post(Mentions(users: [names[0]])),
                post(Mentions(users: [names[1], names[2], names[3]], nonMembers: [names[0]])),
                post(Mentions(nonMembers: [names[0]])), post(nil),
                post(Mentions(users: [names[1], names[0]])),
                post(Mentions(includesEveryone: true)), post(Mentions(includesEveryone: true)),
                post(Mentions(users: [names[0]]), by: "bob"),
                Self.post("x", replyTo: Reply(to: 1, thread: 1), nil, &owner),
            ], by: owner)
        let messages = try await Self.messages(store)
        _ = await store.write(
            [owner.edit(messages[4], to: "y"), owner.delete(messages[5])], by: owner)
        let listed = try #require(await store.memberships(of: "bob")?.memberships.first)
        #expect(listed.unreadCount == 6 && listed.unreadMentionCount == 2)
        #expect(
            await store.memberships(of: "bob", unreadLimit: 3)?.memberships.first?
                .unreadMentionCount == 0)
        #expect(
            await store.memberships(of: "3 bob")?.memberships.first?.unreadMentionCount == 2)
        #expect(
            await store.memberships(of: "bobby")?.memberships.first?.unreadMentionCount == 3)
    }

    @Test("are not changed by a write that fails, whichever key holds another type")
    func foreignKeys() async throws {
        let store = try RedisUnderTest(.standalone, history: 100)
        var owner = await store.createConversation(rex)
        _ = await store.write([owner.post("one"), owner.post("two")], by: owner)
        let first = try #require(try await Self.messages(store).first)
        let hearts = Self.reactions("❤", by: "bob")
        _ = await store.write([Self.pin(first, Self.pin(), &owner)], by: owner)
        let parts = ["log", "amend", "threads", "pins"]
        func contents() throws -> [String] {
            try (parts + ["conv"]).map { try store.redisCLI("DUMP", Self.name(store, $0)) }
        }
        for part in parts {
            let name = Self.name(store, part)
            try store.redisCLI("COPY", name, "\(name)-copy")
            try store.redisCLI("SET", name, "foreign")
            let before = try contents()
            var attempts: [(String, (inout TestOwner) -> Write)] = []
            if part != "threads" && part != "log" {
                attempts.append(
                    ("a reaction", { Self.react(first, hearts, &$0) }))
                attempts.append(("a pin", { Self.pin(first, Self.pin(), &$0) }))
            }
            if part == "threads" || part == "log" {
                attempts.append(
                    (
                        "a reply",
                        { Self.post("x", replyTo: Reply(to: 1, thread: 1), nil, &$0) }
                    ))
            }
            for (what, attempt) in attempts {
                var copy = owner
                #expect(
                    await store.write([attempt(&copy)], by: owner) == .refused([0: .damaged]),
                    "\(what) with a foreign \(part)")
                #expect(try contents() == before, "\(what) with a foreign \(part)")
            }
            try store.redisCLI("DEL", name)
            try store.redisCLI("RENAME", "\(name)-copy", name)
        }
        #expect(await store.write([Self.react(first, hearts, &owner)], by: owner) == .stored)
    }

    @Test(
        "that are malformed are damage of one conversation, which the failure describes",
        arguments: [
            ("amend", "the amendment of message 1 is not what was stored"),
            ("pins", "the pin of message 1 is not what was stored"),
            ("threads", "the malformed entry"),
            ("log", "the reply and the mentions of message 2 are not what was stored"),
        ])
    func malformed(part: String, reason: String) async throws {
        let store = try RedisUnderTest(.standalone, history: 100)
        var owner = await store.createConversation(rex)
        _ = await store.write([owner.post("one")], by: owner)
        let first = try #require(try await Self.messages(store).first)
        _ = await store.write([Self.pin(first, Self.pin(), &owner)], by: owner)
        let name = Self.name(store, part)
        switch part {
        case "threads":
            try store.redisCLI("ZADD", name, "0", "0000000000000001")
            try store.redisCLI("ZADD", name, "0", "0000000000000001:x")
        case "log":
            try store.redisCLI("XADD", name, "2-0", "m", "3 60 0 0 0 0 0 0 x", "r", "nonsense")
            try store.redisCLI("HSET", Self.name(store, "conv"), "at", "1 4 2 60")
        default: try store.redisCLI("HSET", name, "1", "nonsense")
        }
        let request: StoreRequest =
            part == "pins" ? .load(rex) : .page(rex, .newest, limit: 9)
        guard case .failed(let failure) = await store.request(request) else {
            Issue.record("a malformed part of \(part)")
            return
        }
        #expect(failure.isRequestSpecific && failure.description.contains(reason), "\(failure)")
    }
}
