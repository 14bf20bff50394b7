import Bytes
import ChatModel
import ChatSimulation

@testable import ChatCore

/// A conversation with its own store and clock. It executes effects like an owner.
///
/// The store answers at once or, while `isStoreSlow`, on request. Every function returns what the
/// conversation published meanwhile: one line per answer and event, in the form of `EffectText`.
struct ConversationFixture {
    var conversation: Conversation
    var store = StoreFixture()
    let rules: ConversationRules
    /// Requests to the store wait until `answerStore` or `failStore`.
    var isStoreSlow = false
    var now: ClockReading
    /// The requests to the store, oldest first.
    private(set) var storeRequests: [String] = []
    private(set) var lastJoinResult: JoinResult?
    private(set) var lastDetails: ConversationDetails?
    /// All published messages, in order.
    private(set) var announcedMessages: [Message] = []
    private var pendingStoreRequests: [PendingStoreRequest] = []
    private var wakeTimes: [Int64] = []
    private var output: [String] = []
    private var lastRequest: UInt64 = 1000

    enum PendingStoreRequest {
        case write(Write.Change, Revision, RequestOrigin?)
        /// With the message at the time of the request.
        case lookUp(SequenceNumber, Message?)
        case load, loadRecents
        case readHistory(SequenceNumber, Int)
    }

    private let isInbox: Bool

    init(_ limits: Limits = .withoutRates, isInbox: Bool = false) {
        self.rules = ConversationRules(limits)
        self.isInbox = isInbox
        self.conversation = Conversation(rules: self.rules, isInbox: isInbox)
        self.now = ClockReading(
            monotonic: 100_000, wall: Timestamp(milliseconds: 1_800_000_000_000))
    }

    /// A conversation that the first person created. All are members, and none is present.
    init(of people: [Person], open: Bool = false, _ limits: Limits = .withoutRates) {
        self.init(limits)
        if let creator = people.first {
            _ = self.create(by: creator, template: open ? .listed : .closed)
        }
        for person in people { _ = self.joinAndSubscribe(person) }
        _ = self.detach(east)
        _ = self.advance(by: .seconds(10))
        self.storeRequests = []
        self.announcedMessages = []
    }

    var memberIDs: Set<UserID> { Set(self.store.members.map(\.user)) }

    // MARK: Inputs

    mutating func handle(_ input: ConversationInput, from origin: RequestOrigin) -> [String] {
        self.run { $0.handle(input, from: origin, at: $1, into: &$2) }
    }

    /// Request ids are generated unless a test needs to see them.
    mutating func submit(
        _ command: ChatCommand, on loop: LoopID = east, request: RequestID? = nil,
        retry isRetry: Bool = false
    ) -> [String] {
        self.lastRequest += 1
        return self.handle(
            .command(command),
            from: RequestOrigin(
                loop: loop, request: request ?? RequestID(rawValue: self.lastRequest),
                isRetry: isRetry))
    }

    mutating func run(
        _ body: (inout Conversation, ClockReading, inout [ConversationEffect]) -> Void
    ) -> [String] {
        self.output = []
        self.work(body)
        return self.output
    }

    private mutating func work(
        _ body: (inout Conversation, ClockReading, inout [ConversationEffect]) -> Void
    ) {
        var effects: [ConversationEffect] = []
        body(&self.conversation, self.now, &effects)
        var next = 0
        while next < effects.count {
            self.perform(effects[next], into: &effects)
            next += 1
        }
    }

    private mutating func perform(
        _ effect: ConversationEffect, into effects: inout [ConversationEffect]
    ) {
        switch effect {
        case .answer(let answer, let origin):
            if case .joined(let entered) = answer { self.lastJoinResult = entered }
            if case .described(let description) = answer { self.lastDetails = description }
            self.output.append(EffectText.answer(answer, to: origin))
        case .event(let event, _, let origin):
            if case .posted(let message) = event { self.announcedMessages.append(message) }
            self.output.append(EffectText.event(event, origin: origin))
        case .notify(let event, let loops):
            self.output.append(EffectText.notification(event, loops))
        case .mention(let users, let message):
            self.output.append(
                "mention \(users.map(\.description).joined(separator: ",")) in \(message.sequence)")
        case .requestReattach: self.output.append("request reattach")
        case .wake(let time): self.wakeTimes.append(time)
        case .write(let change, let revision, let origin):
            self.conversation.retain(change, revision, at: self.now)
            self.sendToStore(.write(change, revision, origin), into: &effects)
        case .lookUp(let sequence, _):
            self.sendToStore(.lookUp(sequence, self.store.message(sequence)), into: &effects)
        case .load: self.sendToStore(.load, into: &effects)
        case .loadRecents: self.sendToStore(.loadRecents, into: &effects)
        case .readHistory(let sequence, let limit):
            self.sendToStore(.readHistory(sequence, limit), into: &effects)
        case .queryHolders: self.output.append("query holders")
        case .recovered(let changes):
            self.output.append(
                "recovered \(changes.inPlace), moved \(changes.moved), lost \(changes.lost)")
        case .invalidate:
            self.conversation.abandon(at: self.now, into: &effects)
            self.conversation.reload(into: &effects)
        }
    }

    // MARK: The store

    private mutating func sendToStore(
        _ request: PendingStoreRequest, into effects: inout [ConversationEffect]
    ) {
        self.storeRequests.append(EffectText.storeRequest(request))
        if self.isStoreSlow {
            self.pendingStoreRequests.append(request)
        } else {
            self.answer(request, into: &effects)
        }
    }

    private mutating func answer(
        _ request: PendingStoreRequest, into effects: inout [ConversationEffect]
    ) {
        switch request {
        case .write(let change, let revision, let origin):
            self.store.write(change, revision)
            self.conversation.stored(
                change, revision: revision, origin: origin, at: self.now, into: &effects)
        case .lookUp(let sequence, let message):
            self.conversation.lookedUp(
                message, head: self.store.messages.count, sequence: sequence,
                isThread: self.store.hasReplies(inThread: sequence), at: self.now, into: &effects)
        case .load: self.conversation.loaded(self.store.loaded, at: self.now, into: &effects)
        case .loadRecents:
            self.conversation.loadedRecents(self.store.recent, at: self.now, into: &effects)
        case .readHistory(let sequence, let limit):
            self.conversation.reconcile(
                self.store.page(after: sequence, limit: limit), at: self.now, into: &effects)
        }
    }

    /// The slow store answers its oldest requests; all of them by default.
    mutating func answerStore(_ count: Int = .max) -> [String] {
        self.output = []
        for _ in 0..<min(count, self.pendingStoreRequests.count) {
            self.answer(self.pendingStoreRequests.removeFirst())
        }
        return self.output
    }

    /// The slow store answers its newest request: reads and writes may overtake each other.
    mutating func answerStoreNewest() -> [String] {
        self.output = []
        self.answer(self.pendingStoreRequests.removeLast())
        return self.output
    }

    private mutating func answer(_ request: PendingStoreRequest) {
        var effects: [ConversationEffect] = []
        self.answer(request, into: &effects)
        self.work { $2 = effects }
    }

    /// The store fails all requests of this body and works again afterwards.
    mutating func failingStore(_ ask: (inout ConversationFixture) -> [String]) -> [String] {
        self.isStoreSlow = true
        defer { self.isStoreSlow = false }
        _ = ask(&self)
        return self.failStore()
    }

    /// The slow store fails all its requests.
    ///
    /// - Parameters:
    ///   - cause: what became of the writes.
    ///   - isDone: the store applies the writes, and only its answer is lost.
    mutating func failStore(_ cause: ChatError = .unavailable, isDone: Bool = false) -> [String] {
        self.output = []
        let requests = self.pendingStoreRequests
        self.pendingStoreRequests = []
        var isAbandoned = false
        for request in requests {
            switch request {
            case .write(.cursors(let user, let read, _), _, _):
                self.work {
                    $0.cursorsFailed(of: user, read: read, because: cause, at: $1, into: &$2)
                }
            case .lookUp(let sequence, _):
                self.work { $0.lookupFailed(sequence: sequence, into: &$2) }
            case .write(let change, let revision, let origin):
                if isDone { self.store.write(change, revision) }
                if cause != .outcomeUnknown { self.conversation.discardRefused(change, revision) }
                if let origin { self.output.append(EffectText.answer(.failed(cause), to: origin)) }
                if !isAbandoned { self.work { $0.writeFailed(because: cause, at: $1, into: &$2) } }
                isAbandoned = true
            case .load, .loadRecents, .readHistory:
                if !isAbandoned { self.work { $0.abandon(at: $1, into: &$2) } }
                isAbandoned = true
            }
        }
        return self.output
    }

    /// Forgets the store requests up to now.
    mutating func clearStoreRequests() {
        self.storeRequests = []
    }

    // MARK: Time and owners

    /// Time passes, with a tick at every requested time.
    mutating func advance(by duration: Duration) -> [String] {
        self.output = []
        let end = self.now.after(duration)
        while let next = self.wakeTimes.min(), next <= end {
            self.setClock(to: next)
            self.wakeTimes.removeAll { $0 <= next }
            self.work { $0.tick(at: $1, into: &$2) }
        }
        self.setClock(to: end)
        return self.output
    }

    private mutating func setClock(to monotonic: Int64) {
        let ahead = max(0, monotonic - self.now.monotonic)
        self.now = ClockReading(
            monotonic: self.now.monotonic + ahead,
            wall: Timestamp(milliseconds: self.now.wall.milliseconds + ahead))
    }

    /// The time until the next requested tick, in milliseconds.
    var nextWake: Int64? {
        self.wakeTimes.min().map { $0 - self.now.monotonic }
    }

    /// The owner dies, and another one starts with the stored state.
    mutating func changeOwner(ownedSince: Int64 = .min / 2) {
        self.conversation = Conversation(
            rules: self.rules, isInbox: self.isInbox, ownedSince: ownedSince)
        self.wakeTimes = []
        self.pendingStoreRequests = []
        self.storeRequests = []
    }
}
