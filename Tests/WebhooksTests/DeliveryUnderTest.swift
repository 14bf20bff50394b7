import Bytes
import ChatModel
import EmbeddedStore
import StoreTestSupport

@testable import Webhooks

/// A delivery with a store in memory and endpoints that a test controls. Time is a number.
struct DeliveryUnderTest {
    let readers: [OutboxReader]
    var delivery: WebhookDelivery
    var store: MemoryTables
    var owners: [TestOwner] = []
    /// The requests without an answer.
    var requests: [(endpoint: Int, event: OutboxEvent)] = []
    /// The ids that each endpoint has received, in order.
    var delivered: [[ByteString]]
    var gone: [Int] = []
    var time: Int64 = 0
    private static let startTime: Int64 = 1_700_000_000_000

    init(endpoints: Int = 1, limit: Int = 1000, conversations: Int = 1) {
        let groups = (0..<endpoints).map { ByteString("group \($0)") }
        self.readers = groups.map { OutboxReader(group: $0, groups: groups, consumer: "n1") }
        self.delivery = WebhookDelivery(endpointCount: endpoints, limit: limit)
        self.delivered = groups.map { _ in [] }
        self.store = MemoryTables(
            history: 100,
            outbox: OutboxWriter(
                limit: 100_000,
                event: { write in
                    guard case .message(let message) = write.change else { return nil }
                    return OutboxEvent(
                        id: ByteString("\(write.conversation.id) \(message.sequence)"),
                        type: "message.created", conversation: write.conversation,
                        queuedAt: message.sentAt, body: [])
                }, appended: { _ in }))
        for number in 0..<conversations {
            let key = ConversationKey(tenant: "acme", id: ByteString("c\(number)"))
            let id = LoopID(incarnation: 1, loop: 0)
            guard case .claimed(let epoch) = self.store.execute(.claim(shard: key.shard, owner: id))
            else { preconditionFailure("the claim of \(key) was refused") }
            var owner = TestOwner(key: key, id: id, epoch: epoch)
            self.write(owner.create(), by: owner)
            self.owners.append(owner)
        }
        self.delivery.own(nil)
    }

    private mutating func write(_ write: Write, by owner: TestOwner) {
        let answer = self.store.execute(.write(WriteBatch(owner: owner.id, writes: [write])))
        guard case .written(.stored) = answer else {
            preconditionFailure("a write was refused: \(answer)")
        }
    }

    var now: WebhookTime {
        WebhookTime(
            wall: Timestamp(milliseconds: Self.startTime + self.time), monotonic: self.time)
    }

    mutating func post(in conversation: Int = 0) {
        let owner = self.owners[conversation]
        self.owners[conversation].head += 1
        let message = Message(
            sequence: self.owners[conversation].head, revision: owner.revision + 1,
            sentAt: self.now.wall,
            body: MessageBody(
                author: TestOwner.person("ann"), clientMessageID: nil, content: ""))
        let write = self.owners[conversation].write(.message(message))
        self.write(write, by: owner)
        self.delivery.eventsMayHaveArrived(in: 0)
        self.run()
    }

    /// A member of the first conversation came online.
    mutating func announce() {
        let presence = OutboxEvent(
            id: "p", type: "member.online", conversation: self.owners[0].key,
            queuedAt: self.now.wall, body: [])
        self.delivery.append(unstored: [presence])
    }

    /// Executes directives until nothing is due.
    mutating func run() {
        while true {
            var directives: [WebhookDelivery.WebhookDirective] = []
            self.delivery.advance(now: self.now, into: &directives)
            if directives.isEmpty { return }
            for directive in directives { self.execute(directive) }
        }
    }

    mutating func pass(_ milliseconds: Int64) {
        self.time += milliseconds
        self.run()
    }

    private mutating func answer(_ request: OutboxRequest) -> OutboxAnswer? {
        guard case .outbox(let answer) = self.store.execute(.outbox(request)) else { return nil }
        return answer
    }

    private mutating func execute(_ directive: WebhookDelivery.WebhookDirective) {
        switch directive {
        case .scan(let partitions):
            guard case .partitions(let found)? = self.answer(.scan(partitions: partitions)) else {
                return
            }
            self.delivery.scanned(partitions, found)
        case .take(let endpoint, let partition, let after, let recovers):
            let answer = self.answer(
                .take(
                    partition: partition, self.readers[endpoint], after: after, recovers: recovers,
                    limit: 3))
            guard case .taken(let entries, let progress)? = answer else { return }
            self.delivery.taken(
                entries, progress, endpoint: endpoint, group: self.readers[endpoint].group,
                partition: partition, now: self.now)
        case .begin(let endpoint, let partition, let position, let conversation):
            guard
                case .event(let event)? = self.answer(
                    .begin(position, partition: partition, self.readers[endpoint]))
            else { return }
            var directives: [WebhookDelivery.WebhookDirective] = []
            self.delivery.begun(
                .success(event), endpoint: endpoint, partition: partition, position, conversation,
                now: self.now, into: &directives)
            for directive in directives { self.execute(directive) }
        case .send(let endpoint, let event): self.requests.append((endpoint, event))
        case .complete(let endpoint, let partition, let positions):
            _ = self.answer(.complete(positions, partition: partition, self.readers[endpoint]))
            self.delivery.completed(
                succeeded: true, endpoint: endpoint, partition: partition, now: self.now)
        case .bury(let endpoint, let partition, let position, let attempts, let reason):
            let answer = self.answer(
                .bury(
                    position, partition: partition, self.readers[endpoint], attempts: attempts,
                    reason: reason, at: self.now.wall))
            guard case .done(let dropped)? = answer else { return }
            self.delivery.buried(
                dropped: dropped, endpoint: endpoint, partition: partition, position, now: self.now)
        case .logGone(let endpoint): self.gone.append(endpoint)
        }
    }

    /// Answers the request at this index.
    mutating func respond(_ outcome: WebhookOutcome, at index: Int = 0) {
        let (endpoint, event) = self.requests.remove(at: index)
        if outcome == .delivered { self.delivered[endpoint].append(event.id) }
        var directives: [WebhookDelivery.WebhookDirective] = []
        self.delivery.responded(
            outcome, endpoint: endpoint, event.conversation, now: self.now, random: 0,
            into: &directives)
        for directive in directives { self.execute(directive) }
        self.run()
    }

    mutating func letters() -> [DeadLetter] {
        guard
            case .deadLetters(let letters)? = self.answer(.deadLetters(partitions: [], limit: 100))
        else { return [] }
        return letters
    }

    /// The partitions in which the store holds events or dead letters.
    mutating func partitions() -> [OutboxPartition] {
        guard case .partitions(let partitions)? = self.answer(.scan(partitions: [])) else {
            return []
        }
        return partitions
    }
}
