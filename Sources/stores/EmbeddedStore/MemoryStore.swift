import Bytes
public import ChatModel
import Synchronization

/// An in-memory store, for trials and tests. It answers synchronously within `submit`, except for
/// searches, which have a thread of their own.
///
/// Conversations are spread over stripes with one lock each, so that event loops rarely wait for
/// each other.
public final class MemoryStore: ChatStore {
    private final class Stripe: Sendable {
        let tables: Mutex<MemoryTables>

        init(history: Int, outbox: OutboxWriter?, partition: Int) {
            self.tables = Mutex(
                MemoryTables(history: history, outbox: outbox, partition: partition))
        }
    }

    /// A batch holds a lock for less than a microsecond per message. Every stripe has a fence of 24
    /// bytes per shard.
    private static let stripeCount = 8
    private let stripes: [Stripe]
    /// Serializes claims: every stripe has the fences of all shards, and they must advance
    /// together.
    private let claims = Mutex(())
    private let outbox: OutboxWriter?
    /// Nil before the first search, because tests have very many stores.
    private let searches = Mutex<SearchThread?>(nil)
    /// Runs before each slice of a search, for tests.
    private let beforeSearchSlice: (@Sendable () -> Void)?

    /// A store that retains the newest `history` messages of each conversation (0: all).
    public convenience init(history: Int, outbox: OutboxWriter? = nil) {
        self.init(history: history, outbox: outbox, beforeSearchSlice: nil)
    }

    init(
        history: Int, outbox: OutboxWriter? = nil, beforeSearchSlice: (@Sendable () -> Void)?
    ) {
        self.beforeSearchSlice = beforeSearchSlice
        self.outbox = outbox
        self.stripes = (0..<Self.stripeCount).map {
            Stripe(history: history, outbox: outbox, partition: $0)
        }
    }

    deinit { self.searches.withLock { $0 }?.close() }

    public func submit(_ request: StoreRequest, ticket: StoreTicket, for client: any StoreClient) {
        guard case .search = request else {
            return client.storeAnswered(self.answer(request), ticket: ticket)
        }
        let thread = self.searches.withLock { searches in
            let thread = searches ?? self.makeSearchThread()
            searches = thread
            return thread
        }
        switch thread.submit(Submission(request: request, ticket: ticket, client: client)) {
        case .accepted: break
        case .full, .closed:
            client.storeAnswered(.searchRefused(.nodeIsBusy), ticket: ticket)
        }
    }

    /// A slice holds a lock only while it copies the references of its messages. A message that is
    /// changed meanwhile is examined in its state before or after the change.
    private func makeSearchThread() -> SearchThread {
        let (stripes, gate) = (self.stripes, self.beforeSearchSlice)
        return SearchThread { scan in
            gate?()
            let (key, before) = (scan.key, scan.before)
            let found = stripes[key.hash & (Self.stripeCount - 1)].tables.withLock {
                $0.conversation(key).map {
                    (
                        $0.page(
                            .before(before), limit: PageLimit(messages: SearchScan.sliceMessages)),
                        $0.pinnedMessages
                    )
                }
            }
            guard let (page, pins) = found else { return .found(SearchPage()) }
            for message in page.messages.reversed() where !scan.isComplete { scan.examine(message) }
            let isLast = page.messages.first.map { $0.sequence <= page.oldest } ?? true
            return scan.isComplete || isLast
                ? .found(scan.finish(oldest: page.oldest, pinned: pins)) : nil
        }
    }

    private func answer(_ request: StoreRequest) -> StoreAnswer {
        switch request {
        case .write(let batch): .written(self.write(batch))
        case .claim: self.claim(request)
        case .examine(let key), .repair(let key, _, _), .load(let key), .recent(let key, _),
            .page(let key, _, _), .thread(let key, _, _, _), .changes(let key, _, _, _),
            .amended(let key, _, _, _), .unread(let key, _, _):
            self.stripe(key.hash).tables.withLock { $0.execute(request) }
        case .numbers(_, let tenant), .users(_, let tenant), .nextNumber(let tenant):
            self.stripe(tenant.hashValue).tables.withLock { $0.execute(request) }
        case .memberships(_, _, _, let limit, _): self.memberships(request, limit: limit)
        case .catalog(_, _, let limit): self.catalog(request, limit: limit)
        case .bans, .ban, .unban: self.stripes[0].tables.withLock { $0.execute(request) }
        case .conversations(let after, let limit): self.conversations(after: after, limit: limit)
        case .outbox(let request): self.outbox(request)
        case .probe: .done
        case .search: preconditionFailure("searches have a thread of their own")
        }
    }

    /// Each stripe is a partition.
    private func outbox(_ request: OutboxRequest) -> StoreAnswer {
        switch request {
        case .scan, .deadLetters:
            var partitions: [OutboxPartition] = []
            var letters: [DeadLetter] = []
            for stripe in self.stripes {
                switch stripe.tables.withLock({ $0.execute(.outbox(request)) }) {
                case .outbox(.partitions(let some)): partitions += some
                case .outbox(.deadLetters(let some)): letters += some
                default: break
                }
            }
            if case .deadLetters(_, let limit) = request {
                return .outbox(.deadLetters(Array(letters.prefix(limit))))
            }
            return .outbox(.partitions(partitions))
        case .take(let partition, _, _, _, _), .begin(_, let partition, _),
            .complete(_, let partition, _),
            .bury(_, let partition, _, _, _, _), .retry(_, let partition, _),
            .drop(_, let partition):
            guard self.stripes.indices.contains(partition) else {
                return .failed(StoreFailure("partition \(partition): there is no such partition"))
            }
            return self.stripes[partition].tables.withLock { $0.execute(.outbox(request)) }
        }
    }

    private func memberships(_ request: StoreRequest, limit: Int) -> StoreAnswer {
        let pages = self.stripes.map { stripe in
            guard case .memberships(let page) = stripe.tables.withLock({ $0.execute(request) })
            else { return MembershipPage() }
            return page
        }
        return .memberships(MembershipPage(joining: pages, limit: limit))
    }

    private func catalog(_ request: StoreRequest, limit: Int) -> StoreAnswer {
        let pages = self.stripes.map { stripe in
            guard case .catalog(let page) = stripe.tables.withLock({ $0.execute(request) }) else {
                return CatalogPage()
            }
            return page
        }
        return .catalog(CatalogPage(joining: pages, limit: limit))
    }

    /// The cursor is the number of the stripe and the position in it.
    private func conversations(after: ByteString?, limit: Int) -> StoreAnswer {
        let parts = (after?.string ?? "0:").split(
            separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let stripe = Int(parts[0]), self.stripes.indices.contains(stripe)
        else { return .failed(.invalidCursor) }
        let position = parts[1].isEmpty ? nil : ByteString(String(parts[1]))
        let answer = self.stripes[stripe].tables.withLock {
            $0.execute(.conversations(after: position, limit: limit))
        }
        guard case .conversations(var page) = answer else { return answer }
        if let next = page.next {
            page.next = ByteString("\(stripe):\(next)")
        } else if stripe + 1 < self.stripes.count {
            page.next = ByteString("\(stripe + 1):")
        }
        return .conversations(page)
    }

    private func write(_ batch: WriteBatch) -> WriteOutcome {
        var refused = RefusedWrites()
        let writes = batch.writes.span
        for index in writes.indices where !refused.refuses(writes[index].conversation, at: index) {
            let stripe = self.stripe(writes[index].conversation.hash)
            if let refusal = stripe.tables.withLock({ $0.apply(writes[index], by: batch.owner) }) {
                refused.record(refusal, of: writes[index].conversation, at: index)
            } else {
                self.outbox?.appended(writes[index].conversation.hash & (Self.stripeCount - 1))
            }
        }
        return refused.outcome
    }

    private func claim(_ request: StoreRequest) -> StoreAnswer {
        self.claims.withLock { _ in
            // A concurrent write of the old owner completes before its stripe learns of the claim,
            // or is refused after it.
            var answer = StoreAnswer.done
            for stripe in self.stripes { answer = stripe.tables.withLock { $0.execute(request) } }
            return answer
        }
    }

    /// Uses the lowest bits of the hash, because the hash tables inside use the upper half.
    private func stripe(_ hash: Int) -> Stripe {
        self.stripes[hash & (Self.stripeCount - 1)]
    }
}
