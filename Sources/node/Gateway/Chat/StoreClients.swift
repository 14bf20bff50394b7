import Bytes
import ChatModel
import EventLoop
import Synchronization
import Telemetry

/// Passes the store's replies, from any thread, to the loop that sent the request.
final class LoopStoreClient: StoreClient {
    private let replies: Mailbox<StoreReply>
    private let storeErrors: StoreErrorLog
    private let isForSessions: Bool
    /// Replies that came before `submit` returned.
    private let synchronousReplies: LoopBound<(isSubmitting: Bool, replies: [StoreReply])>

    init(
        _ replies: Mailbox<StoreReply>, of loop: EventLoop, _ storeErrors: StoreErrorLog,
        isForSessions: Bool = false
    ) {
        self.replies = replies
        self.storeErrors = storeErrors
        self.isForSessions = isForSessions
        self.synchronousReplies = LoopBound((false, []), on: loop)
    }

    /// On the loop: submits a request, and appends immediate replies to `replies`. Those save the
    /// way through the mailbox.
    func submit(
        _ request: StoreRequest, ticket: StoreTicket, to store: any ChatStore,
        into replies: inout [StoreReply]
    ) {
        self.synchronousReplies.with { $0.isSubmitting = true }
        store.submit(request, ticket: ticket, for: self)
        self.synchronousReplies.with { immediate in
            immediate.isSubmitting = false
            if replies.isEmpty {
                swap(&replies, &immediate.replies)
            } else if !immediate.replies.isEmpty {
                replies.append(contentsOf: immediate.replies)
                immediate.replies.clear()
            }
        }
    }

    func storeAnswered(_ answer: StoreAnswer, ticket: StoreTicket) {
        switch answer {
        case .failed(let failure): self.storeErrors.record(failure)
        case .written(.refused(let refusals)):
            for case .failed(let failure) in refusals.values { self.storeErrors.record(failure) }
        default: break
        }
        let reply = StoreReply(answer: answer, ticket: ticket, isForSession: self.isForSessions)
        if self.synchronousReplies.loop.isCurrent, self.synchronousReplies.with({ $0.isSubmitting })
        {
            self.synchronousReplies.with { $0.replies.append(reply) }
        } else {
            // This mailbox has no limit: each reply belongs to a request, and the store limits the
            // requests.
            _ = self.replies.post(reply)
        }
    }
}

/// Receives the replies to the loops' health probes. The ticket of a probe is the loop's number.
final class StoreProbe: StoreClient {
    private let health: Health
    private let storeErrors: StoreErrorLog

    init(_ health: Health, _ storeErrors: StoreErrorLog) {
        self.health = health
        self.storeErrors = storeErrors
    }

    func storeAnswered(_ answer: StoreAnswer, ticket: StoreTicket) {
        guard case .failed(let failure) = answer else {
            return self.health.recordProbe(Int(ticket.rawValue), nil)
        }
        self.storeErrors.record(failure)
        self.health.recordProbe(Int(ticket.rawValue), failure.description)
    }
}

/// Logs failures of the store once a second, because thousands of requests may fail in a second.
final class StoreErrorLog: Sendable {
    private struct State {
        var nextAt: Int64 = 0
        var suppressed = 0
        var count: UInt64 = 0
    }

    private let logger: Logger
    private let now: @Sendable () -> Int64
    private let state = Mutex(State())

    /// - Parameter now: a monotonic clock in milliseconds.
    init(_ logger: Logger, now: @escaping @Sendable () -> Int64) {
        self.logger = logger
        self.now = now
    }

    /// All failures so far, logged or not.
    var count: UInt64 { self.state.withLock { $0.count } }

    func record(_ failure: StoreFailure) {
        let now = self.now()
        let suppressed: Int? = self.state.withLock { state in
            state.count += 1
            guard now >= state.nextAt else {
                state.suppressed += 1
                return nil
            }
            defer {
                state.nextAt = now + 1000
                state.suppressed = 0
            }
            return state.suppressed
        }
        guard let suppressed else { return }
        self.logger.warning(
            "store request failed",
            ["reason": .text(failure.description), "suppressed": LogValue(suppressed)])
    }
}
