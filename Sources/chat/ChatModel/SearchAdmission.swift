import Synchronization

/// Which searches a node runs: one of each user, and a bounded number together. Further ones are
/// refused at once instead of queued, so that searches hold no place that other requests need.
public final class SearchAdmission: Sendable {
    /// The most searches of a node that run or wait.
    public static let countLimit = 64

    private let searchers = Mutex<Set<LimitKey>>([])

    public init() {}

    /// Admits a search until its permit ends.
    public func begin(for searcher: LimitKey) throws(SearchRefusal) -> SearchPermit {
        let refusal: SearchRefusal? = self.searchers.withLock { searchers in
            if searchers.contains(searcher) { return .userIsSearching }
            guard searchers.count < Self.countLimit else { return .nodeIsBusy }
            searchers.insert(searcher)
            return nil
        }
        if let refusal { throw refusal }
        return SearchPermit { self.searchers.withLock { _ = $0.remove(searcher) } }
    }

    /// The searches that run or wait.
    public var count: Int { self.searchers.withLock { $0.count } }
}

/// Why a search was not executed.
public enum SearchRefusal: Error, Sendable, Equatable, CustomStringConvertible {
    /// Another search of the user is under way.
    case userIsSearching
    /// The node has `SearchAdmission.countLimit` searches.
    case nodeIsBusy
    /// The client is gone.
    case cancelled

    /// Clients repeat a request whose error ends with "try again".
    public var description: String {
        switch self {
        case .userIsSearching:
            "rate limited: a user can have 1 search under way; wait for its answer, then try again"
        case .nodeIsBusy:
            "\(SearchAdmission.countLimit) searches are under way, which is the limit; try again"
        case .cancelled: "the search was cancelled"
        }
    }
}

/// The right to one search at a time. It ends when it is answered, at the latest with its last
/// reference, which the store releases.
public final class SearchPermit: Sendable {
    private let cancelled = Atomic(false)
    private let ended = Atomic(false)
    private let release: @Sendable () -> Void

    init(_ release: @escaping @Sendable () -> Void) {
        self.release = release
    }

    deinit { self.end() }

    /// Lets the user search again, because the store has answered. Later calls have no effect.
    public func end() {
        if !self.ended.exchange(true, ordering: .acquiringAndReleasing) { self.release() }
    }

    /// Makes the store give up the search before its next slice. The user cannot search again
    /// before that.
    public func cancel() { self.cancelled.store(true, ordering: .relaxed) }

    public var isCancelled: Bool { self.cancelled.load(ordering: .relaxed) }
}
