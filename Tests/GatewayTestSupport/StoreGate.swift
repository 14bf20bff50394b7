public import ChatModel
import Synchronization

/// A store whose requests pass, block or fail, as the test decides.
public final class StoreGate: ChatStore {
    public enum Kind: Sendable { case page, search, write, probe, bans, other }

    private struct BlockedRequest {
        let request: StoreRequest
        let ticket: StoreTicket
        let client: any StoreClient
    }

    private struct State {
        var closed: Set<Kind> = []
        var failing: Set<Kind> = []
        var answers: [Kind: StoreAnswer] = [:]
        var blocked: [BlockedRequest] = []
        var passed: [Kind: Int] = [:]
    }

    private let store: any ChatStore
    private let state = Mutex(State())

    public init(before store: any ChatStore) {
        self.store = store
    }

    /// Blocks requests of these kinds from now on.
    public func close(_ kinds: Kind...) {
        self.state.withLock { $0.closed.formUnion(kinds) }
    }

    /// Lets new requests pass. Blocked ones stay blocked.
    public func stopBlocking() {
        self.state.withLock { $0.closed = [] }
    }

    /// Releases the blocked requests and blocks no more.
    public func open() {
        let blocked = self.state.withLock { state in
            state.closed = []
            defer { state.blocked = [] }
            return state.blocked
        }
        for blocked in blocked {
            self.store.submit(blocked.request, ticket: blocked.ticket, for: blocked.client)
        }
    }

    /// Fails requests of these kinds from now on. Without kinds, no request fails.
    public func fail(_ kinds: Kind...) {
        self.state.withLock { $0.failing = Set(kinds) }
    }

    /// Gives requests of this kind another answer than the store's from now on, or none if it is
    /// nil.
    public func replaceAnswers(to kind: Kind, by answer: StoreAnswer?) {
        self.state.withLock { $0.answers[kind] = answer }
    }

    /// The number of blocked requests.
    public var blockedCount: Int { self.state.withLock { $0.blocked.count } }

    /// The permits of the blocked searches.
    public var blockedSearches: [SearchPermit] {
        self.state.withLock { state in
            state.blocked.compactMap {
                guard case .search(_, _, _, _, let permit) = $0.request else { return nil }
                return permit
            }
        }
    }

    /// How many requests of a kind have passed.
    public func passed(_ kind: Kind) -> Int { self.state.withLock { $0.passed[kind, default: 0] } }

    public func submit(_ request: StoreRequest, ticket: StoreTicket, for client: any StoreClient) {
        enum Decision { case pass, hold, answer(StoreAnswer) }
        let kind = request.kind
        let decision: Decision = self.state.withLock { state in
            if state.failing.contains(kind) {
                return .answer(.failed(StoreFailure("the disk is on fire")))
            }
            if let answer = state.answers[kind] { return .answer(answer) }
            if state.closed.contains(kind) {
                state.blocked.append(
                    BlockedRequest(request: request, ticket: ticket, client: client))
                return .hold
            }
            state.passed[kind, default: 0] += 1
            return .pass
        }
        switch decision {
        case .pass: self.store.submit(request, ticket: ticket, for: client)
        case .hold: break
        case .answer(let answer): client.storeAnswered(answer, ticket: ticket)
        }
    }
}

extension StoreRequest {
    var kind: StoreGate.Kind {
        switch self {
        case .page, .thread: .page
        case .search: .search
        case .write: .write
        case .probe: .probe
        case .bans: .bans
        case .claim, .load, .recent, .changes, .amended, .unread, .memberships, .catalog, .numbers,
            .users, .nextNumber, .ban, .unban, .conversations, .examine, .repair, .outbox:
            .other
        }
    }
}
