import Bytes
import ChatModel
import EventLoop
import Synchronization
import Telemetry

/// Hands the store's answers to the loop that asked, from whatever thread they come.
final class LoopStoreClient: StoreClient {
    private let replies: Mailbox<StoreReply>
    private let storeErrors: StoreErrorLog
    private let isForSessions: Bool
    /// What was answered before `submit` returned.
    private let synchronousReplies: LoopBound<(isAwaited: Bool, letters: [StoreReply])>

    init(
        _ answers: Mailbox<StoreReply>, of loop: EventLoop, _ complaints: StoreErrorLog,
        isForSessions: Bool = false
    ) {
        self.replies = answers
        self.storeErrors = complaints
        self.isForSessions = isForSessions
        self.synchronousReplies = LoopBound((false, []), on: loop)
    }

    /// On the loop: asks, and adds to `letters` what is answered at once, which so is spared the way round by the mailbox.
    func submit(
        _ request: StoreRequest, ticket: StoreTicket, to store: any ChatStore,
        into letters: inout [StoreReply]
    ) {
        self.synchronousReplies.with { $0.isAwaited = true }
        store.submit(request, ticket: ticket, for: self)
        self.synchronousReplies.with { immediate in
            immediate.isAwaited = false
            if letters.isEmpty {
                swap(&letters, &immediate.letters)
            } else if !immediate.letters.isEmpty {
                letters.append(contentsOf: immediate.letters)
                immediate.letters.clear()
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
        let letter = StoreReply(answer: answer, ticket: ticket, isForSession: self.isForSessions)
        if self.synchronousReplies.loop.isCurrent, self.synchronousReplies.with({ $0.isAwaited }) {
            self.synchronousReplies.with { $0.letters.append(letter) }
        } else {
            // This mailbox takes everything: each answer belongs to a request, and the store bounds those.
            _ = self.replies.post(letter)
        }
    }
}

/// Hears what the store says to the loops' probes, whose tickets are the loops' numbers.
final class StoreProbe: StoreClient {
    private let health: Health
    private let storeErrors: StoreErrorLog

    init(_ health: Health, _ complaints: StoreErrorLog) {
        self.health = health
        self.storeErrors = complaints
    }

    func storeAnswered(_ answer: StoreAnswer, ticket: StoreTicket) {
        guard case .failed(let failure) = answer else {
            return self.health.recordProbe(Int(ticket), nil)
        }
        self.storeErrors.record(failure)
        self.health.recordProbe(Int(ticket), failure.description)
    }
}

/// Says in the log that the store fails: once a second and not once a request, of which there may be thousands.
final class StoreErrorLog: Sendable {
    private struct State {
        var nextAt: Int64 = 0
        var suppressed = 0
    }

    private let logger: Logger
    private let now: @Sendable () -> Int64
    private let state = Mutex(State())

    /// - Parameter now: a monotonic clock in milliseconds.
    init(_ logger: Logger, now: @escaping @Sendable () -> Int64) {
        self.logger = logger
        self.now = now
    }

    func record(_ failure: StoreFailure) {
        let now = self.now()
        let leftOut: Int? = self.state.withLock { state in
            guard now >= state.nextAt else {
                state.suppressed += 1
                return nil
            }
            defer { state = State(nextAt: now + 1000) }
            return state.suppressed
        }
        guard let leftOut else { return }
        self.logger.warning(
            "store request failed",
            ["reason": .text(failure.description), "others_since_last": LogValue(leftOut)])
    }
}
