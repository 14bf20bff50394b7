import ChatModel
import EventLoop
import RedisClient

/// Reads that an interruption of Redis has failed are sent again, so that a client which opens a
/// conversation during a failover waits instead of being disconnected. Owners retry their own
/// requests.
extension RedisStore {
    struct InterruptedRead {
        let request: StoreRequest
        let requester: PendingCommand.StoreRequester
        let retryAt: MonotonicTime
    }

    private static let retryPause = Duration.milliseconds(250)
    /// A read that was submitted longer ago fails.
    private static let retryTime = Duration.milliseconds(4500)
    private static let interruptedLimit = 65_536

    /// - Returns: whether the request is sent again later. If so, an answer follows.
    func retryLater(_ request: StoreRequest, _ requester: PendingCommand.StoreRequester) -> Bool {
        let retryAt = MonotonicTime.now.advanced(by: Self.retryPause)
        guard request.isRepeatable, retryAt.since(requester.submittedAt) < Self.retryTime else {
            return false
        }
        return self.loopState.with { state in
            guard state.interruptedReads.count < Self.interruptedLimit else { return false }
            state.interruptedReads.append(
                InterruptedRead(request: request, requester: requester, retryAt: retryAt))
            return true
        }
    }

    func send(_ request: StoreRequest, _ requester: PendingCommand.StoreRequester) {
        do throws(RedisError) {
            try self.loopState.with { state throws(RedisError) in
                try self.dispatch(request, requester, &state)
            }
        } catch {
            requester.client.storeAnswered(
                .failed(StoreFailure(error)), ticket: requester.ticket)
        }
    }

    /// Sends the reads that are due.
    func retryInterruptedReads(now: MonotonicTime) {
        let due = self.loopState.with { state in
            let due = state.interruptedReads.prefix { $0.retryAt <= now }
            state.interruptedReads.removeFirst(due.count)
            return due
        }
        for read in due { self.send(read.request, read.requester) }
    }
}

extension RedisError {
    /// Whether the same command may succeed in a moment.
    var isInterruption: Bool {
        switch self {
        case .connectionLost, .noConnection, .clusterDown, .loading, .masterDown, .tryAgain: true
        default: false
        }
    }
}

extension StoreRequest {
    /// Whether it may be executed twice, and its requester does not repeat it.
    fileprivate var isRepeatable: Bool {
        switch self {
        case .page, .thread, .changes, .amended, .unread, .memberships, .catalog, .users, .numbers:
            true
        default: false
        }
    }
}
