public import ChatModel
import Synchronization

/// A store with a gate in front of it: requests pass, wait, or fail, as the test says.
public final class StoreGate: ChatStore {
    public enum Kind: Sendable { case page, write, probe, other }

    private struct BlockedRequest {
        let request: StoreRequest
        let ticket: StoreTicket
        let client: any StoreClient
    }

    private struct State {
        var closed: Set<Kind> = []
        var failing: Set<Kind> = []
        var blocked: [BlockedRequest] = []
        var passed: [Kind: Int] = [:]
    }

    private let store: any ChatStore
    private let state = Mutex(State())

    public init(before store: any ChatStore) {
        self.store = store
    }

    /// From here on requests of these kinds wait.
    public func close(_ kinds: Kind...) {
        self.state.withLock { $0.closed.formUnion(kinds) }
    }

    /// From here on nothing has to wait; what waits already goes on waiting.
    public func stopBlocking() {
        self.state.withLock { $0.closed = [] }
    }

    /// What waits goes on, and nothing waits any more.
    public func open() {
        let held = self.state.withLock { state in
            state.closed = []
            defer { state.blocked = [] }
            return state.blocked
        }
        for held in held { self.store.submit(held.request, ticket: held.ticket, for: held.client) }
    }

    /// From here on requests of these kinds fail; of none: all is well again.
    public func fail(_ kinds: Kind...) {
        self.state.withLock { $0.failing = Set(kinds) }
    }

    /// Requests that wait.
    public var blockedCount: Int { self.state.withLock { $0.blocked.count } }

    /// Requests of a kind that went through.
    public func passed(_ kind: Kind) -> Int { self.state.withLock { $0.passed[kind, default: 0] } }

    public func submit(_ request: StoreRequest, ticket: StoreTicket, for client: any StoreClient) {
        enum Verdict { case pass, hold, fail }
        let kind = request.kind
        let verdict: Verdict = self.state.withLock { state in
            if state.failing.contains(kind) { return .fail }
            if state.closed.contains(kind) {
                state.blocked.append(
                    BlockedRequest(request: request, ticket: ticket, client: client))
                return .hold
            }
            state.passed[kind, default: 0] += 1
            return .pass
        }
        switch verdict {
        case .pass: self.store.submit(request, ticket: ticket, for: client)
        case .hold: break
        case .fail:
            client.storeAnswered(.failed(StoreFailure("the disk is on fire")), ticket: ticket)
        }
    }
}

extension StoreRequest {
    var kind: StoreGate.Kind {
        switch self {
        case .page: .page
        case .write: .write
        case .probe: .probe
        case .claim, .load, .recent, .changes, .amended, .unread, .memberships, .catalog, .numbers,
            .users, .nextNumber:
            .other
        }
    }
}
