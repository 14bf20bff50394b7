import Bytes
import ChatModel
import EmbeddedStore
import StoreTestSupport
import Synchronization
import TestKit
import TestTraits
import Testing

/// A store with an outbox, and its partition for one conversation.
private struct FilledOutbox {
    let store: any ChatStore
    let changes = AppendedPartitions()
    var owner = TestOwner(
        key: ConversationKey(tenant: "acme", id: "room {7}:%"), id: LoopID(incarnation: 1, loop: 0),
        epoch: 0)

    final class AppendedPartitions: Sendable {
        let partitions = Mutex<[Int]>([])
    }

    init(limit: Int = 1000, _ open: (OutboxWriter) throws -> any ChatStore) async throws {
        let changes = self.changes
        self.store = try open(
            OutboxWriter(
                limit: limit, event: Self.event(of:),
                appended: { partition in changes.partitions.withLock { $0.append(partition) } }))
        self.owner.epoch = await self.store.claim(self.owner.key.shard, by: self.owner.id)
        _ = await self.store.write([self.owner.create()], by: self.owner)
    }

    /// Messages only.
    private static func event(of write: Write) -> OutboxEvent? {
        guard case .message(let message) = write.change else { return nil }
        return OutboxEvent(
            id: ByteString("evt_\(write.revision)"), type: "message.created",
            conversation: write.conversation, queuedAt: message.sentAt,
            body: Array(message.body.content.utf8))
    }

    mutating func post(_ texts: String...) async {
        for text in texts {
            let outcome = await self.store.write([self.owner.post(text)], by: self.owner)
            #expect(outcome == .stored)
        }
    }

    func request(_ request: OutboxRequest) async throws -> OutboxAnswer {
        let answer = await self.store.request(.outbox(request))
        guard case .outbox(let answer) = answer else {
            Issue.record("\(request): \(answer.text)")
            throw OutboxFailure()
        }
        return answer
    }

    func partitions() async throws -> [OutboxPartition] {
        guard
            case .partitions(let partitions) = try await self.request(
                .scan(partitions: [self.owner.key.shard]))
        else { throw OutboxFailure() }
        return partitions
    }

    /// The partition of the conversation; it has contents.
    func partition() async throws -> Int {
        try #require(try await self.partitions().first?.number)
    }

    func take(
        _ reader: OutboxReader, after: OutboxPosition? = nil, recovers: Bool = false,
        limit: Int = 10
    ) async throws -> [OutboxEntry] {
        guard let partition = try await self.partitions().first?.number else { return [] }
        guard
            case .taken(let entries, _) = try await self.request(
                .take(
                    partition: partition, reader, after: after, recovers: recovers, limit: limit))
        else { throw OutboxFailure() }
        return entries
    }

    func body(_ position: OutboxPosition, _ reader: OutboxReader) async throws -> String? {
        guard
            case .event(let event) = try await self.request(
                .begin(position, partition: try await self.partition(), reader))
        else { throw OutboxFailure() }
        return event.map { String(decoding: $0.body, as: UTF8.self) }
    }

    func complete(_ positions: [OutboxPosition], _ reader: OutboxReader) async throws {
        _ = try await self.request(
            .complete(positions, partition: try await self.partition(), reader))
    }

    func letters() async throws -> [DeadLetter] {
        guard
            case .deadLetters(let letters) = try await self.request(
                .deadLetters(partitions: [self.owner.key.shard], limit: 100))
        else { throw OutboxFailure() }
        return letters
    }
}

private struct OutboxFailure: Error {}

private let one = OutboxReader(group: "one", groups: ["one"], consumer: "n1")

private func reader(_ group: ByteString, _ consumer: ByteString = "n1") -> OutboxReader {
    OutboxReader(group: group, groups: ["one", "two"], consumer: consumer)
}

@Suite("Every store's outbox", .ownThread)
struct OutboxContractTests {
    @Test(
        "has the events of stored writes, and none of refused ones, in order",
        arguments: StoreUnderTest.available)
    func filling(_ kind: StoreUnderTest) async throws {
        var outbox = try await FilledOutbox { try kind.open(100, outbox: $0) }
        #expect(try await outbox.partitions() == [])
        await outbox.post("eins")
        var stale = outbox.owner
        stale.revision -= 1
        stale.head -= 1
        let refused = await outbox.store.write([stale.post("late")], by: stale)
        #expect(refused != .stored)
        // In one batch, only the writes before the refused one are stored.
        var batch = [outbox.owner.post("zwei"), outbox.owner.join("bob")]
        stale = outbox.owner
        stale.revision += 5
        batch.append(stale.post("gap"))
        _ = await outbox.store.write(batch, by: outbox.owner)
        let partition = try await outbox.partition()
        #expect(outbox.changes.partitions.withLock { $0.contains(partition) })
        let entries = try await outbox.take(one)
        #expect(entries.map(\.id) == ["evt_2", "evt_3"])
        #expect(entries.map(\.type) == ["message.created", "message.created"])
        #expect(entries.allSatisfy { $0.conversation == outbox.owner.key && $0.target == nil })
        #expect(entries.map(\.queuedAt) == [TestOwner.time(2), TestOwner.time(3)])
        #expect(entries[0].position < entries[1].position)
        #expect(try await outbox.body(entries[1].position, one) == "zwei")
    }

    @Test(
        "gives a reader each event once, and keeps it until it is completed",
        arguments: StoreUnderTest.available)
    func taking(_ kind: StoreUnderTest) async throws {
        var outbox = try await FilledOutbox { try kind.open(100, outbox: $0) }
        await outbox.post("a", "b", "c")
        let first = try await outbox.take(one, limit: 2)
        #expect(first.map(\.id) == ["evt_2", "evt_3"])
        let second = try await outbox.take(one, after: first.last?.position)
        #expect(second.map(\.id) == ["evt_4"])
        let all = (first + second).map(\.position)
        try await outbox.complete([all[1]], one)
        #expect(try await outbox.body(all[0], one) == "a")
        #expect(try await outbox.body(all[1], one) == nil)
        try await outbox.complete([all[0], all[2]], one)
        #expect(try await outbox.partitions() == [])
        await outbox.post("d")
        #expect(try await outbox.take(one, after: all.last).map(\.id) == ["evt_5"])
    }

    @Test(
        "gives every group all events, and removes one when all groups have completed it",
        arguments: StoreUnderTest.available)
    func groups(_ kind: StoreUnderTest) async throws {
        var outbox = try await FilledOutbox { try kind.open(100, outbox: $0) }
        await outbox.post("a", "b")
        let ofOne = try await outbox.take(reader("one"))
        try await outbox.complete(ofOne.map(\.position), reader("one"))
        // The second group has not even read yet.
        let ofTwo = try await outbox.take(reader("two"))
        #expect(ofTwo.map(\.id) == ["evt_2", "evt_3"])
        try await outbox.complete([ofTwo[0].position], reader("two"))
        #expect(try await outbox.body(ofTwo[1].position, reader("two")) == "b")
        try await outbox.complete([ofTwo[1].position], reader("two"))
        #expect(try await outbox.partitions() == [])
    }

    @Test(
        "moves events to the dead letters, and back for their group only",
        arguments: StoreUnderTest.available)
    func deadLetters(_ kind: StoreUnderTest) async throws {
        var outbox = try await FilledOutbox { try kind.open(100, outbox: $0) }
        await outbox.post("a", "b", "c")
        let partition = try await outbox.partition()
        let entries = try await outbox.take(reader("one"))
        let ofTwo = try await outbox.take(reader("two"))
        for (entry, reason) in zip(entries, ["HTTP 500", "timeout", "refused"]) {
            let answer = try await outbox.request(
                .bury(
                    entry.position, partition: partition, reader("one"), attempts: 7,
                    reason: reason,
                    at: TestOwner.time(99)))
            #expect(answer == .done(dropped: 0))
        }
        try await outbox.complete(ofTwo.map(\.position), reader("two"))
        let letters = try await outbox.letters()
        #expect(letters.map(\.id) == ["evt_2", "evt_3", "evt_4"])
        #expect(letters.map(\.reason) == ["HTTP 500", "timeout", "refused"])
        #expect(
            letters.allSatisfy {
                $0.group == "one" && $0.attempts == 7 && $0.diedAt == TestOwner.time(99)
                    && $0.partition == partition && $0.conversation == outbox.owner.key
            })
        #expect(
            try await outbox.partitions() == [
                OutboxPartition(number: partition, hasEvents: false, deadCount: 3)
            ])
        _ = try await outbox.request(.drop([letters[0].position], partition: partition))
        _ = try await outbox.request(
            .retry([letters[2].position], partition: partition, at: TestOwner.time(500)))
        #expect(try await outbox.letters().map(\.id) == ["evt_3"])
        let again = try await outbox.take(reader("one"))
        #expect(again.map(\.id) == ["evt_4"])
        #expect(again.map(\.target) == ["one"])
        #expect(again.map(\.queuedAt) == [TestOwner.time(500)])
        #expect(try await outbox.body(again[0].position, reader("one")) == "c")
    }

    @Test(
        "drops the oldest dead letters at the bound",
        arguments: StoreUnderTest.implementations)
    func bound(_ kind: StoreUnderTest) async throws {
        // Redis keeps at least 16 in each shard.
        let limit = 16
        var outbox = try await FilledOutbox(limit: limit) { try kind.open(100, outbox: $0) }
        var dropped = 0
        for number in 0..<limit + 3 {
            await outbox.post("\(number)")
            let partition = try await outbox.partition()
            let entry = try #require(try await outbox.take(one).first)
            let answer = try await outbox.request(
                .bury(
                    entry.position, partition: partition, one, attempts: 1, reason: "x",
                    at: TestOwner.time(0)))
            if case .done(let count) = answer { dropped += count }
        }
        #expect(dropped == 3)
        let ids = try await outbox.letters().map(\.id)
        #expect(ids == (5..<5 + limit).map { ByteString("evt_\($0)") })
    }

    @Test("is empty without a writer", arguments: StoreUnderTest.available)
    func withoutWriter(_ kind: StoreUnderTest) async throws {
        let store = try kind.open(100)
        var owner = await store.createConversation(ConversationKey(tenant: "acme", id: "rex"))
        #expect(await store.write([owner.post("x")], by: owner) == .stored)
        let answer = await store.request(.outbox(.scan(partitions: [owner.key.shard])))
        guard case .outbox(.partitions([])) = answer else {
            Issue.record("\(answer.text)")
            return
        }
    }

    @Test("survives a restart of SQLite")
    func restart() async throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/confab.db"
        var outbox = try await FilledOutbox {
            try SQLiteStore(path: path, history: 100, outbox: $0)
        }
        await outbox.post("a", "b")
        let entries = try await outbox.take(one)
        try await outbox.complete([entries[0].position], one)
        (outbox.store as? SQLiteStore)?.close()
        let store = try SQLiteStore(path: path, history: 100)
        defer { store.close() }
        let answer = await store.request(
            .outbox(.take(partition: 0, one, after: nil, recovers: true, limit: 10)))
        guard case .outbox(.taken(let left, .atEnd)) = answer else {
            Issue.record("\(answer.text)")
            return
        }
        #expect(left.map(\.id) == ["evt_3"])
    }

    @Test(
        "in Redis: one consumer follows another in order, once that one is idle", .programs,
        arguments: [RedisUnderTest.Kind.standalone, .cluster])
    func takeover(_ kind: RedisUnderTest.Kind) async throws {
        var redis: RedisUnderTest?
        var outbox = try await FilledOutbox {
            let store = try RedisUnderTest(kind, history: 100, outbox: $0)
            redis = store
            return store
        }
        await outbox.post("a", "b", "c")
        let partition = try await outbox.partition()
        let (first, second) = (reader("one", "n1"), reader("one", "n2"))
        let taken = try await outbox.take(first)
        await outbox.post("d")
        let busy = try await outbox.request(
            .take(partition: partition, second, after: nil, recovers: true, limit: 10))
        #expect(busy == .taken([], .busy))
        // The first event's consumer is silent, the second event was touched a moment ago.
        let key = "\(try #require(redis).name):{s\(partition)}:outbox"
        func makeIdle(_ entry: OutboxEntry) throws {
            try redis?.redisCLI(
                "XCLAIM", key, "one", "n1", "0", entry.position.description, "IDLE", "30000",
                "JUSTID")
        }
        try makeIdle(taken[0])
        try makeIdle(taken[2])
        #expect(try await outbox.take(second).map(\.id) == ["evt_2"])
        #expect(try await outbox.body(taken[0].position, first) == nil)
        #expect(try await outbox.body(taken[1].position, first) == "b")
        #expect(try await outbox.body(taken[0].position, second) == "a")
        try makeIdle(taken[1])
        #expect(try await outbox.take(second).map(\.id) == ["evt_3", "evt_4"])
        #expect(try await outbox.take(second).map(\.id) == ["evt_5"])
        // A consumer that has forgotten its events takes them again, page by page.
        let again = try await outbox.take(second, recovers: true, limit: 3)
        #expect(again.map(\.id) == ["evt_2", "evt_3", "evt_4"])
        let rest = try await outbox.take(
            second, after: again.last?.position, recovers: true, limit: 3)
        #expect(rest.map(\.id) == ["evt_5"])
        // The first consumer cannot give up what it has lost.
        _ = try await outbox.request(
            .bury(
                taken[2].position, partition: partition, first, attempts: 1, reason: "x",
                at: TestOwner.time(0)))
        #expect(try await outbox.letters() == [])
        #expect(try await outbox.body(taken[2].position, second) == "c")
    }
}
