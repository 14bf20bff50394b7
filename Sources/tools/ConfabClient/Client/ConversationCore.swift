import Bytes
import EventLoop
import Synchronization

/// One conversation of a client: its session, its events, and the calls that wait for answers.
///
/// The session is behind a lock, so that the application reads and changes it on any thread. Its
/// steps are carried out on the client's loop, in order.
final class ConversationCore: Sendable {
    typealias Listener = @Sendable (ConversationEvent) -> Void

    fileprivate struct SendWaiter {
        let id: Int
        let localID: String
        let continuation: CheckedContinuation<Result<ChatMessage, ConfabError>, Never>
    }

    struct State {
        var session: ChatSession
        var steps: [ClientStep] = []
        fileprivate var events: [ConversationEvent] = []
        fileprivate var hasOverflowed = false
        fileprivate var listener: Listener?
        fileprivate var sends: [SendWaiter] = []
        fileprivate var requests: [Int: CheckedContinuation<RequestAnswer, Never>] = [:]
        fileprivate var lastCallID = 0
        var change = StateChange(state: .offline)
        /// Whether there is a connection, or an attempt to connect.
        var isConnected = false
    }

    let id: String
    let url: WebSocketURL
    let store: PendingMessageStore?
    let state: Mutex<State>
    /// Notified of each event.
    let condition = TaskCondition()
    /// Makes the loop carry out the steps.
    private let wake: @Sendable () -> Void

    /// How many events wait for the application.
    private static let eventLimit = 10_000

    init(
        _ id: String, at url: WebSocketURL, _ session: ChatSession, store: PendingMessageStore?,
        wake: @escaping @Sendable () -> Void
    ) {
        self.id = id
        self.url = url
        self.store = store
        self.state = Mutex(State(session: session))
        self.wake = wake
    }

    /// Changes the session, and lets the loop carry out the steps.
    func perform<Value: Sendable>(
        _ change: (inout ChatSession, MonotonicTime, inout [ClientStep]) -> Value
    ) -> Value {
        let value = self.state.withLock { state in
            change(&state.session, .sinceBoot, &state.steps)
        }
        self.wake()
        return value
    }

    func takeSteps() -> [ClientStep] {
        self.state.withLock { state in
            defer { state.steps.removeAll(keepingCapacity: true) }
            return state.steps
        }
    }

    // MARK: Events

    /// On the loop: passes an event to the listener or the queue, and completes calls.
    func deliver(_ event: ConversationEvent) {
        let (listener, finished) = self.state.withLock { state in
            if case .state(let change) = event { state.change = change }
            if state.listener == nil {
                if state.events.count >= Self.eventLimit {
                    state.events = []
                    state.hasOverflowed = true
                }
                if !state.hasOverflowed { state.events.append(event) }
            }
            return (state.listener, state.takeFinished(by: event))
        }
        listener?(event)
        for (waiter, result) in finished { waiter.continuation.resume(returning: result) }
        self.condition.notify()
    }

    func answer(_ id: Int, _ answer: RequestAnswer) {
        let continuation = self.state.withLock { $0.requests.removeValue(forKey: id) }
        continuation?.resume(returning: answer)
    }

    /// The next event that waits for the application.
    func takeEvent() -> ConversationEvent? {
        self.state.withLock { state in
            if state.hasOverflowed {
                state.hasOverflowed = false
                let timeline = state.session.timeline
                return .reset(.overflow, messages: timeline.messages, after: timeline.lastID)
            }
            return state.events.isEmpty ? nil : state.events.removeFirst()
        }
    }

    var hasEvent: Bool { self.state.withLock { $0.hasOverflowed || !$0.events.isEmpty } }
    var isConnected: Bool { self.state.withLock { $0.isConnected } }
    var isClosed: Bool { self.state.withLock { $0.change.state == .closed } }

    /// Passes all events to a listener, on the loop, instead of the queue.
    func setListener(_ listener: @escaping Listener) {
        self.state.withLock { state in
            state.listener = listener
            state.events = []
        }
    }

    // MARK: Calls

    /// Adds a message to the outbox and waits until it is stored.
    func send(_ item: PendingMessage) async throws(ConfabError) -> ChatMessage {
        let id = self.nextCallID()
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let failure: ConfabError? = self.state.withLock { state in
                    if Task.isCancelled { return .cancelled }
                    if let failure = self.post(item, &state) { return failure }
                    state.sends.append(
                        SendWaiter(id: id, localID: item.localID, continuation: continuation))
                    return nil
                }
                if let failure { continuation.resume(returning: .failure(failure)) }
                self.wake()
            }
        } onCancel: {
            let waiter = self.state.withLock { state in
                state.sends.firstIndex { $0.id == id }.map { state.sends.remove(at: $0) }
            }
            waiter?.continuation.resume(returning: .failure(.cancelled))
        }
        return try result.get()
    }

    /// Adds a message to the outbox.
    func post(_ item: PendingMessage) throws(ConfabError) {
        let failure = self.state.withLock { self.post(item, &$0) }
        self.wake()
        if let failure { throw failure }
    }

    private func post(_ item: PendingMessage, _ state: inout State) -> ConfabError? {
        do throws(ConfabError) {
            try state.session.post(item, at: .sinceBoot, into: &state.steps) {
                (item) throws(ConfabError) in try self.store?.save(item, of: self.id)
            }
            return nil
        } catch {
            return error
        }
    }

    /// Makes a request and waits for its answer.
    func request(_ kind: PendingRequest.RequestKind) async throws(ConfabError) -> RequestAnswer {
        let id = self.nextCallID()
        let answer: RequestAnswer = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                self.state.withLock { state in
                    guard !Task.isCancelled else {
                        return continuation.resume(returning: RequestAnswer.failed(.cancelled))
                    }
                    state.requests[id] = continuation
                    state.session.submit(kind, as: id, at: .sinceBoot, into: &state.steps)
                }
                self.wake()
            }
        } onCancel: {
            self.state.withLock { $0.session.cancelRequest(id) }
            self.answer(id, .failed(.cancelled))
        }
        if case .failed(let error) = answer { throw error }
        return answer
    }

    private func nextCallID() -> Int {
        self.state.withLock { state in
            state.lastCallID += 1
            return state.lastCallID
        }
    }
}

extension ConversationCore.State {
    /// Removes the sends that an event completes.
    fileprivate mutating func takeFinished(by event: ConversationEvent) -> [(
        ConversationCore.SendWaiter, Result<ChatMessage, ConfabError>
    )] {
        let result: Result<ChatMessage, ConfabError>
        let isFinished: (ConversationCore.SendWaiter) -> Bool
        switch event {
        case .outbox(let localID, let state):
            isFinished = { $0.localID == localID }
            switch state {
            case .sending: return []
            case .stored(let message): result = .success(message)
            case .failed(let reason): result = .failure(.refusal(reason))
            case .discarded: result = .failure(.refused("The message was discarded."))
            }
        case .state(let change) where change.state == .refused:
            isFinished = { _ in true }
            result = .failure(.refused(change.reason))
        case .state(let change) where change.state == .closed:
            isFinished = { _ in true }
            result = .failure(.closed)
        default: return []
        }
        let finished = self.sends.filter(isFinished)
        self.sends.removeAll(where: isFinished)
        return finished.map { ($0, result) }
    }
}
