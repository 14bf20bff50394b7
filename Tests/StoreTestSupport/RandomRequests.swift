import Bytes
public import ChatModel
import SeededRandom

/// Generates requests from a seed: mostly valid ones, as owners send them, and some that must be
/// refused.
public struct RandomRequests {
    private var generator: SeededGenerator
    private var conversationOwners: [TestOwner]
    private let owners: [LoopID]
    /// Shards that the first owner does not own.
    private var lostShards: Set<Int>
    private let names = ["ann", "bob", "robot", "zoë"]

    public init(seed: UInt64, tenant: String, conversations: Int) {
        self.generator = SeededGenerator(seed: seed)
        self.owners = (0..<3).map { LoopID(incarnation: .max - $0, loop: UInt16($0)) }
        let firstOwner = self.owners[0]
        self.lostShards = []
        self.conversationOwners = (0..<conversations).map { number in
            TestOwner(
                key: ConversationKey(tenant: .init(tenant), id: .init("conversation-\(number)")),
                id: firstOwner, epoch: 0)
        }
        self.lostShards = Set(self.conversationOwners.map(\.key.shard))
    }

    /// The next request. `oracle` answers the questions that an owner could answer itself.
    public mutating func next(_ oracle: (StoreRequest) -> StoreAnswer) -> StoreRequest {
        let key = self.conversationOwners.randomElement(using: &self.generator)!.key
        let head = self.storedState(of: key, oracle).head
        if self.lostShards.contains(key.shard), self.number(0..<3) == 0 {
            return .claim(shard: key.shard, owner: self.owners[0])
        }
        switch self.number(0..<100) {
        case ..<2:
            return .claim(
                shard: key.shard, owner: self.owners.randomElement(using: &self.generator)!)
        case ..<10: return .load(key)
        case ..<14: return .recent(key, limit: self.number(-1..<40))
        case ..<21: return .page(key, self.range(around: head), limit: self.limit(-1..<40))
        case ..<24:
            return .thread(
                key, root: self.number(-1..<head + 2), self.range(around: head),
                limit: self.limit(-1..<9))
        case ..<27:
            return .amended(
                key, through: self.number(-2..<head + 3), since: self.number(0..<head + 20),
                limit: self.limit(-1..<40))
        case ..<34:
            return .changes(
                key, after: self.number(-2..<head + 3), since: self.number(0..<head + 20),
                limit: self.number(0..<40))
        case ..<40: return .unread(key, after: self.number(-2..<head + 3), by: self.user())
        case ..<41: return .probe
        case ..<44:
            return .memberships(
                of: self.user(), tenant: key.tenant, after: nil, limit: 100,
                unreadLimit: self.number(-1..<9))
        case ..<46:
            return .catalog(tenant: key.tenant, after: self.cursor(), limit: self.number(-1..<9))
        case ..<48:
            return .numbers(
                of: (0..<self.number(0..<4)).map { _ in self.user() }, tenant: key.tenant)
        case ..<49:
            return .users(
                numbered: [StoreRequest.firstUserNumber + self.number(-1..<6)], tenant: key.tenant)
        case ..<50: return .nextNumber(tenant: key.tenant)
        case ..<52: return self.banRequest(in: key)
        default: return .write(self.batch(oracle))
        }
    }

    private mutating func banRequest(in key: ConversationKey) -> StoreRequest {
        let subject = Ban.Subject(
            tenant: key.tenant, user: self.user().displayID,
            conversation: self.number(0..<2) == 0 ? nil : key.id)
        switch self.number(0..<3) {
        case 0:
            let time = Int64(self.number(1..<9))
            return .ban(
                Ban(
                    subject, until: time == 1 ? nil : Timestamp(milliseconds: 100 + time),
                    reason: time == 2 ? "" : "spam \(time), été", by: "op \(time)",
                    since: Timestamp(milliseconds: time)))
        case 1: return .unban(subject)
        default: return .bans
        }
    }

    private mutating func batch(_ oracle: (StoreRequest) -> StoreAnswer) -> WriteBatch {
        let owner = self.number(0..<20) == 0 ? self.owners[2] : self.owners[0]
        for index in self.conversationOwners.indices {
            let found = self.storedState(of: self.conversationOwners[index].key, oracle)
            self.conversationOwners[index].revision = found.revision
            self.conversationOwners[index].head = found.head
        }
        var writes: [Write] = []
        for _ in 0..<self.number(1..<12) {
            let index = self.number(0..<self.conversationOwners.count)
            // One in 30 expects another state than the stored one, or has another epoch.
            if self.number(0..<30) == 0 {
                self.conversationOwners[index].revision += self.number(-1..<2)
            }
            if self.number(0..<60) == 0 { self.conversationOwners[index].head += 1 }
            let epoch = self.conversationOwners[index].epoch
            if self.number(0..<60) == 0 { self.conversationOwners[index].epoch += 1 }
            writes.append(self.write(index, oracle))
            self.conversationOwners[index].epoch = epoch
        }
        return WriteBatch(owner: owner, writes: writes)
    }

    private mutating func write(_ index: Int, _ oracle: (StoreRequest) -> StoreAnswer) -> Write {
        let name = self.names.randomElement(using: &self.generator)!
        let content = String(
            repeating: "wörter ", count: self.number(0..<40) == 0 ? 2000 : self.number(1..<30))
        let old = self.message(index, oracle)
        if self.conversationOwners[index].revision == 0 {
            // Some conversations have the same creation time.
            return self.conversationOwners[index].create(
                "title \(index)", index % 3 == 0 ? .unlisted("pets") : .listed,
                details: ByteString("\(index / 2)"),
                pinPolicy: index % 2 == 0 ? .members : .creator,
                at: TestOwner.time(index / 2))
        }
        switch self.number(0..<27) {
        case 25:
            guard case .loaded(let loaded?) = oracle(.load(self.conversationOwners[index].key))
            else { fallthrough }
            var record = loaded.record
            record.title = "title \(self.number(0..<9))"
            record.dialectData = ByteString(content)
            record.joinPolicy = self.number(0..<2) == 0 ? .open : .closed
            record.isListed = self.number(0..<2) == 0
            return self.conversationOwners[index].write(.update(record))
        case 26:
            return self.conversationOwners[index].join(
                name, role: self.number(0..<2) == 0 ? .removed : .departed)
        case 0: return self.conversationOwners[index].create("again")
        case 1:
            return self.conversationOwners[index].join(name, role: .admin, read: self.number(0..<9))
        case 2: return self.conversationOwners[index].write(.remove(TestOwner.person(name).id))
        case 3 where self.number(0..<9) == 0:
            return self.conversationOwners[index].write(
                .end(at: TestOwner.time(self.conversationOwners[index].revision)))
        case 3, 4, 5:
            return self.conversationOwners[index].cursors(
                name, read: self.number(0..<99), delivered: self.number(0..<99))
        case 6, 7: return self.conversationOwners[index].edit(old, to: content)
        case 8: return self.conversationOwners[index].delete(old)
        case 9, 10, 11:
            return self.conversationOwners[index].react(
                to: old, ["👍", ":tada:", "❤"][self.number(0..<3)], by: name,
                isOn: self.number(0..<3) > 0)
        case 12, 13:
            return self.conversationOwners[index].pin(old, self.number(0..<3) > 0, by: name)
        case 14, 15, 16:
            return self.conversationOwners[index].post(
                content, by: name, reply: self.reply(to: old),
                mentions: self.number(0..<2) == 0 ? self.mentions() : nil)
        default:
            return self.conversationOwners[index].post(
                content, by: name,
                clientID: self.number(0..<3) == 0 ? nil : "id-\(self.number(0..<1000))",
                metadata: self.number(0..<3) == 0
                    ? [UInt8](repeating: 7, count: self.number(0..<9)) : nil)
        }
    }

    private mutating func reply(to message: Message) -> Reply {
        let thread = message.body.annotations?.reply?.thread ?? message.sequence
        return Reply(to: message.sequence, thread: thread)
    }

    private mutating func mentions() -> Mentions {
        Mentions(
            includesEveryone: self.number(0..<3) == 0,
            users: (0..<self.number(0..<3)).map { _ in self.user() },
            nonMembers: (0..<self.number(0..<2)).map { _ in self.user() })
    }

    /// A message that is retained, was trimmed but perhaps not its pin, or does not exist yet.
    private mutating func message(_ index: Int, _ oracle: (StoreRequest) -> StoreAnswer) -> Message
    {
        let sequence = self.number(1..<self.conversationOwners[index].head + 2)
        if case .page(let page) = oracle(
            .page(self.conversationOwners[index].key, .after(sequence - 1), limit: 1)),
            let found = page.messages.first,
            found.sequence == sequence
        {
            return found
        }
        if case .loaded(let loaded?) = oracle(.load(self.conversationOwners[index].key)),
            let pin = loaded.pins.first(where: { $0.sequence == sequence })
        {
            return pin
        }
        let body = MessageBody(
            author: TestOwner.person("ann"), clientMessageID: nil, content: "gone")
        return Message(sequence: sequence, revision: 1, sentAt: TestOwner.time(1), body: body)
    }

    private mutating func storedState(
        of key: ConversationKey, _ oracle: (StoreRequest) -> StoreAnswer
    ) -> (head: Int, revision: Int) {
        // Not `load`, which sorts all pins.
        if case .page(let page) = oracle(.page(key, .newest, limit: 0)) {
            (page.head, page.revision)
        } else {
            (0, 0)
        }
    }

    private mutating func range(around head: Int) -> PageRange {
        switch self.number(0..<3) {
        case 0: .newest
        case 1: .before(self.number(-2..<head + 5))
        default: .after(self.number(-2..<head + 5))
        }
    }

    private mutating func cursor() -> PageCursor? {
        if self.number(0..<2) == 0 { return nil }
        let index = self.number(0..<self.conversationOwners.count)
        return PageCursor(
            time: TestOwner.time(index / 2 + self.number(-1..<2)),
            id: self.conversationOwners[index].key.id)
    }

    private mutating func user() -> UserID {
        TestOwner.person(self.names.randomElement(using: &self.generator)!).id
    }

    private mutating func limit(_ messages: Range<Int>) -> PageLimit {
        PageLimit(messages: self.number(messages))
    }

    private mutating func number(_ range: Range<Int>) -> Int {
        Int.random(in: range, using: &self.generator)
    }

    /// Records a claim, as the owners would learn of it.
    public mutating func recordClaim(_ shard: Int, _ epoch: Epoch, by owner: LoopID) {
        // The first owner learns only of its own claims: its writes are refused until it claims
        // again.
        guard owner == self.owners[0] else { return _ = self.lostShards.insert(shard) }
        self.lostShards.remove(shard)
        for index in self.conversationOwners.indices
        where self.conversationOwners[index].key.shard == shard {
            self.conversationOwners[index].epoch = epoch
        }
    }
}
