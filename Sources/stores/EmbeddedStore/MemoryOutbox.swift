import Bytes
import ChatModel

/// An outbox in memory: one partition.
struct MemoryOutbox: Sendable {
    private struct Item {
        let event: OutboxEvent
        let target: ByteString?
        /// The groups that have completed it.
        var completed: Set<ByteString> = []
    }

    private let partition: Int
    private let limit: Int
    private var items: [OutboxPosition: Item] = [:]
    /// Ascending. Some may already be removed.
    private var order: [OutboxPosition] = []
    private var dead: [(letter: DeadLetter, event: OutboxEvent)] = []
    private var last: UInt64 = 0

    init(partition: Int, limit: Int) {
        self.partition = partition
        self.limit = limit
    }

    mutating func append(_ event: OutboxEvent, for target: ByteString? = nil) {
        self.last += 1
        let position = OutboxPosition(self.last)
        self.items[position] = Item(event: event, target: target)
        self.order.append(position)
        if self.items.count > 2 * self.limit,
            let first = self.order.first(where: { self.items[$0] != nil })
        {
            self.remove(first)
        }
    }

    mutating func execute(_ request: OutboxRequest) -> OutboxAnswer {
        switch request {
        case .scan:
            guard !self.items.isEmpty || !self.dead.isEmpty else { return .partitions([]) }
            return .partitions([
                OutboxPartition(
                    number: self.partition, hasEvents: !self.items.isEmpty,
                    deadCount: self.dead.count)
            ])
        case .take(_, let reader, let after, _, let limit):
            let entries = self.entries(of: reader.group, after: after, limit: limit)
            return .taken(entries, entries.count < limit ? .atEnd : .more)
        case .begin(let position, _, _): return .event(self.items[position]?.event)
        case .complete(let positions, _, let reader):
            for position in positions { self.complete(position, reader) }
            return .done(dropped: 0)
        case .bury(let position, _, let reader, let attempts, let reason, let time):
            guard let event = self.items[position]?.event else { return .done(dropped: 0) }
            self.complete(position, reader)
            self.last += 1
            let letter = DeadLetter(
                partition: self.partition, position: OutboxPosition(self.last), group: reader.group,
                id: event.id, type: event.type, conversation: event.conversation,
                attempts: attempts, reason: reason, diedAt: time)
            self.dead.append((letter, event))
            let excess = max(0, self.dead.count - self.limit)
            self.dead.removeFirst(excess)
            return .done(dropped: excess)
        case .deadLetters(_, let limit): return .deadLetters(self.dead.prefix(limit).map(\.letter))
        case .retry(let positions, _, let time):
            for (letter, event) in self.dead where positions.contains(letter.position) {
                let again = OutboxEvent(
                    id: event.id, type: event.type, conversation: event.conversation,
                    queuedAt: time, body: event.body)
                self.append(again, for: letter.group)
            }
            self.dead.removeAll { positions.contains($0.letter.position) }
            return .done(dropped: 0)
        case .drop(let positions, _):
            self.dead.removeAll { positions.contains($0.letter.position) }
            return .done(dropped: 0)
        }
    }

    private func entries(of group: ByteString, after: OutboxPosition?, limit: Int)
        -> [OutboxEntry]
    {
        var entries: [OutboxEntry] = []
        for position in self.order where after.map({ position > $0 }) ?? true {
            guard entries.count < limit else { break }
            guard let item = self.items[position], !item.completed.contains(group) else { continue }
            entries.append(
                OutboxEntry(
                    position: position, id: item.event.id, type: item.event.type,
                    conversation: item.event.conversation, queuedAt: item.event.queuedAt,
                    target: item.target))
        }
        return entries
    }

    private mutating func complete(_ position: OutboxPosition, _ reader: OutboxReader) {
        guard self.items[position] != nil else { return }
        self.items[position]?.completed.insert(reader.group)
        if self.items[position]?.completed.isSuperset(of: reader.groups) == true {
            self.remove(position)
        }
    }

    /// Removes an item; now and then also the removed positions from the order.
    private mutating func remove(_ position: OutboxPosition) {
        self.items[position] = nil
        if self.order.count > 64, self.order.count > 2 * self.items.count {
            self.order.removeAll { self.items[$0] == nil }
        }
    }
}
