import ChatModel
import Cluster
import Synchronization

/// The bans that a node enforces, and whether they must be read again.
///
/// Every node reads all bans from the store: before it admits clients, when another node announces
/// a change, and when it may have missed an announcement. A node may die between storing a ban and
/// announcing it, so the others also read the bans when the cluster's nodes change. While no
/// messages of other nodes arrive, the node reads them every second, because its store may still
/// answer and its clients may still send.
final class BanBoard: Sendable {
    private struct State {
        var list = BanList()
        /// Reads begin in the order of their numbers. A later read sees at least what was stored
        /// before an earlier one began, so the result of an earlier one is dropped after it.
        var readsBegun = 0
        var appliedRead = 0
        var isStale = true
        /// No announcement can arrive.
        var isCutOff = false
        var isReading = false
        /// When the next attempt may begin, in monotonic milliseconds.
        var nextAttempt: Int64 = 0
        var nodes: [UInt64] = []
    }

    private static let retryMilliseconds: Int64 = 1000
    private let state = Mutex(State())

    var list: BanList { self.state.withLock { $0.list } }

    /// Whether the list is as new as the last reason to read it, and no such read is in progress.
    var isUpToDate: Bool { self.state.withLock { !$0.isStale && !$0.isReading } }

    func markStale() { self.state.withLock { $0.isStale = true } }

    /// - Parameter isCutOff: whether messages of other nodes do not arrive.
    func linkChanged(isCutOff: Bool) {
        self.state.withLock { state in
            state.isCutOff = isCutOff
            state.isStale = true
        }
    }

    func follow(_ view: View) {
        let nodes = view.nodes.map(\.incarnation)
        self.state.withLock { state in
            guard state.nodes != nodes else { return }
            state.nodes = nodes
            state.isStale = true
        }
    }

    /// Begins a read on request, and returns its number.
    func beginRead() -> Int {
        self.state.withLock { state in
            state.readsBegun += 1
            return state.readsBegun
        }
    }

    /// Begins a read if the bans are stale or announcements do not arrive, and no such read is in
    /// progress.
    func beginReadIfStale(at now: Int64) -> Int? {
        self.state.withLock { state in
            guard state.isStale || state.isCutOff, !state.isReading, now >= state.nextAttempt
            else { return nil }
            state.isStale = false
            state.isReading = true
            state.nextAttempt = now + Self.retryMilliseconds
            state.readsBegun += 1
            return state.readsBegun
        }
    }

    /// Ends a read of `beginReadIfStale`. After a failure the bans are still stale.
    ///
    /// - Parameter enforce: called after a success, before the bans count as up to date.
    @discardableResult
    func endRead(_ number: Int, _ answer: StoreAnswer, enforce: () -> Void = {}) -> Bool {
        let isApplied = self.apply(answer, of: number)
        if isApplied { enforce() }
        self.state.withLock { state in
            state.isReading = false
            if !isApplied { state.isStale = true }
        }
        return isApplied
    }

    /// - Returns: whether the bans are at least as new as the beginning of the read.
    func apply(_ answer: StoreAnswer, of number: Int) -> Bool {
        guard case .bans(let bans, _) = answer else { return false }
        self.state.withLock { state in
            guard number > state.appliedRead else { return }
            state.appliedRead = number
            state.list = BanList(bans)
        }
        return true
    }
}
