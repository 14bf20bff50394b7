import Bytes
public import ChatModel
import SeededRandom

/// Makes requests by seeded chance: mostly such as owners make, and some that must be refused.
public struct RandomRequests {
    private var generator: SeededGenerator
    private var conversationOwners: [TestOwner]
    private let owners: [LoopID]
    /// Shards that another than the first owner has.
    private var lostShards: Set<Int>
    private let names = ["ann", "bob", "robot", "zoë"]

    public init(seed: UInt64, tenant: String, conversations: Int) {
        self.generator = SeededGenerator(seed: seed)
        self.owners = (0..<3).map { LoopID(incarnation: .max - $0, loop: UInt16($0)) }
        let owner = self.owners[0]
        self.lostShards = []
        self.conversationOwners = (0..<conversations).map { number in
            TestOwner(
                key: ConversationKey(tenant: .init(tenant), id: .init("conversation-\(number)")),
                id: owner, epoch: 0)
        }
        self.lostShards = Set(self.conversationOwners.map(\.key.shard))
    }

    /// The next request. `oracle` is asked for what owners know.
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
        case ..<24: return .page(key, self.range(around: head), limit: self.number(-1..<40))
        case ..<27:
            return .amended(
                key, through: self.number(-2..<head + 3), since: self.number(0..<head + 20),
                limit: self.number(-1..<40))
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
        default: return .write(self.batch(oracle))
        }
    }

    private mutating func batch(_ oracle: (StoreRequest) -> StoreAnswer) -> WriteBatch {
        let owner = self.number(0..<20) == 0 ? self.owners[2] : self.owners[0]
        for place in self.conversationOwners.indices {
            let found = self.storedState(of: self.conversationOwners[place].key, oracle)
            self.conversationOwners[place].revision = found.revision
            self.conversationOwners[place].head = found.head
        }
        var writes: [Write] = []
        for _ in 0..<self.number(1..<12) {
            let place = self.number(0..<self.conversationOwners.count)
            // One in 30 expects another state than the stored one, or writes under another epoch.
            if self.number(0..<30) == 0 {
                self.conversationOwners[place].revision += self.number(-1..<2)
            }
            if self.number(0..<60) == 0 { self.conversationOwners[place].head += 1 }
            let epoch = self.conversationOwners[place].epoch
            if self.number(0..<60) == 0 { self.conversationOwners[place].epoch += 1 }
            writes.append(self.write(place, oracle))
            self.conversationOwners[place].epoch = epoch
        }
        return WriteBatch(owner: owner, writes: writes)
    }

    private mutating func write(_ place: Int, _ oracle: (StoreRequest) -> StoreAnswer) -> Write {
        let name = self.names.randomElement(using: &self.generator)!
        let content = String(
            repeating: "wörter ", count: self.number(0..<40) == 0 ? 2000 : self.number(1..<30))
        let old = self.message(place, oracle)
        if self.conversationOwners[place].revision == 0 {
            // Some of the same moment.
            return self.conversationOwners[place].create(
                "title \(place)", kind: place % 3 == 0 ? .pets : .rooms,
                details: ByteString("\(place / 2)"), at: TestOwner.time(place / 2))
        }
        switch self.number(0..<20) {
        case 0: return self.conversationOwners[place].create("again")
        case 1:
            return self.conversationOwners[place].join(name, role: .admin, read: self.number(0..<9))
        case 2: return self.conversationOwners[place].write(.remove(TestOwner.person(name).id))
        case 3 where self.number(0..<9) == 0:
            return self.conversationOwners[place].write(
                .end(at: TestOwner.time(self.conversationOwners[place].revision)))
        case 3, 4, 5:
            return self.conversationOwners[place].cursors(
                name, read: self.number(0..<99), delivered: self.number(0..<99))
        case 6, 7: return self.conversationOwners[place].edit(old, to: content)
        case 8: return self.conversationOwners[place].delete(old)
        default:
            return self.conversationOwners[place].post(
                content, by: name,
                clientID: self.number(0..<3) == 0 ? nil : "id-\(self.number(0..<1000))",
                metadata: self.number(0..<3) == 0
                    ? [UInt8](repeating: 7, count: self.number(0..<9)) : nil)
        }
    }

    /// A message that is kept; or was once, or will be.
    private mutating func message(_ place: Int, _ oracle: (StoreRequest) -> StoreAnswer) -> Message
    {
        let sequence = self.number(1..<self.conversationOwners[place].head + 2)
        if case .page(let page) = oracle(
            .page(self.conversationOwners[place].key, .after(sequence - 1), limit: 1)),
            let found = page.messages.first,
            found.sequence == sequence
        {
            return found
        }
        let body = MessageBody(
            author: TestOwner.person("ann"), clientMessageID: nil, content: "gone")
        return Message(sequence: sequence, revision: 1, sentAt: TestOwner.time(1), body: body)
    }

    private mutating func storedState(
        of key: ConversationKey, _ oracle: (StoreRequest) -> StoreAnswer
    ) -> (head: Int, revision: Int) {
        if case .loaded(let loaded?) = oracle(.load(key)) {
            (loaded.head, loaded.revision)
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
        let scribe = self.number(0..<self.conversationOwners.count)
        return PageCursor(
            time: TestOwner.time(scribe / 2 + self.number(-1..<2)),
            id: self.conversationOwners[scribe].key.id)
    }

    private mutating func user() -> UserID {
        TestOwner.person(self.names.randomElement(using: &self.generator)!).id
    }

    private mutating func number(_ range: Range<Int>) -> Int {
        Int.random(in: range, using: &self.generator)
    }

    /// Tells the owners which epoch a shard has: what they would have been answered.
    public mutating func recordClaim(_ shard: Int, _ epoch: Epoch, by owner: LoopID) {
        // The first owner notices only its own claims: its writes are refused until it claims again.
        guard owner == self.owners[0] else { return _ = self.lostShards.insert(shard) }
        self.lostShards.remove(shard)
        for place in self.conversationOwners.indices
        where self.conversationOwners[place].key.shard == shard {
            self.conversationOwners[place].epoch = epoch
        }
    }
}
