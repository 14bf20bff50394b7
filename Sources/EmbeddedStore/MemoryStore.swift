import Bytes
public import ChatModel
import Synchronization

/// A store that lives as long as its process, for trials and tests; it answers from within `submit`.
///
/// Conversations are spread over stripes with a lock each, so that loops hardly ever wait for each other.
public final class MemoryStore: ChatStore {
    private final class Stripe: Sendable {
        let tables: Mutex<MemoryTables>

        init(history: Int) {
            self.tables = Mutex(MemoryTables(history: history))
        }
    }

    /// A batch holds a lock for less than a microsecond a message; every stripe has a fence of 24 bytes for each shard.
    private static let stripeCount = 8
    private let stripes: [Stripe]
    /// One claim at a time. Every stripe has all the shards' fences, and they must rise in step.
    private let claims = Mutex(())

    /// A store that keeps the newest `history` messages of each conversation (0: all).
    public init(history: Int) {
        self.stripes = (0..<Self.stripeCount).map { _ in Stripe(history: history) }
    }

    public func submit(_ request: StoreRequest, ticket: StoreTicket, for client: any StoreClient) {
        client.storeAnswered(self.answer(request), ticket: ticket)
    }

    private func answer(_ request: StoreRequest) -> StoreAnswer {
        switch request {
        case .write(let batch): .written(self.write(batch))
        case .claim: self.claim(request)
        case .load(let key), .recent(let key, _), .page(let key, _, _), .changes(let key, _, _, _),
            .amended(let key, _, _, _),
            .unread(let key, _, _):
            self.stripe(key.hash).tables.withLock { $0.execute(request) }
        case .numbers(_, let tenant), .users(_, let tenant), .nextNumber(let tenant):
            self.stripe(tenant.hashValue).tables.withLock { $0.execute(request) }
        case .memberships(_, _, _, let limit, _): self.memberships(request, limit: limit)
        case .catalog(_, _, let limit): self.catalog(request, limit: limit)
        case .probe: .done
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

    private func write(_ batch: WriteBatch) -> WriteOutcome {
        var refused = RefusedWrites()
        let writes = batch.writes.span
        for place in writes.indices where !refused.refuses(writes[place].conversation, at: place) {
            let stripe = self.stripe(writes[place].conversation.hash)
            if let refusal = stripe.tables.withLock({ $0.apply(writes[place], by: batch.owner) }) {
                refused.record(refusal, of: writes[place].conversation, at: place)
            }
        }
        return refused.outcome
    }

    private func claim(_ request: StoreRequest) -> StoreAnswer {
        self.claims.withLock { _ in
            // A write that the old owner has in flight is done before its stripe is told, or refused after.
            var answer = StoreAnswer.done
            for stripe in self.stripes { answer = stripe.tables.withLock { $0.execute(request) } }
            return answer
        }
    }

    /// From the hash's lowest bits: the directories inside use the upper half.
    private func stripe(_ hash: Int) -> Stripe {
        self.stripes[hash & (Self.stripeCount - 1)]
    }
}
