import Bytes
import ChatModel

@testable import ChatCore

/// One conversation with a store and a clock of its own: it does what an owner does with the effects.
///
/// The store answers at once, or when it is told to while `isStoreSlow`. Every function says what was heard meanwhile,
/// one line for each answer and event, as `Line` writes them.
struct Stage {
    var conversation: Conversation
    var shelf = Shelf()
    let rules: ConversationRules
    /// Requests to the store wait until `answerStore` or `failStore`.
    var isStoreSlow = false
    var now: Moment
    /// What was asked of the store, oldest first.
    private(set) var asked: [String] = []
    private(set) var entered: Entered?
    private(set) var described: Description?
    /// Every message that was announced, in that order.
    private(set) var announced: [Message] = []
    private var held: [StoreErrand] = []
    private var wakes: [Int64] = []
    private var lines: [String] = []
    private var lastRequest: RequestID = 1000

    enum StoreErrand {
        case write(Write.Change, Revision, Origin?)
        /// With the message as it was when the store was asked.
        case find(SequenceNumber, Search, Message?)
        case load, recall
        case compare(SequenceNumber, Int)
    }

    private let isInbox: Bool

    init(_ limits: ChatLimits = ChatLimits(), isInbox: Bool = false) {
        self.rules = ConversationRules(limits)
        self.isInbox = isInbox
        self.conversation = Conversation(rules: self.rules, isInbox: isInbox)
        self.now = Moment(monotonic: 100_000, wall: Timestamp(milliseconds: 1_800_000_000_000))
    }

    /// A conversation that the first of these has made; all are members, and nobody is there.
    init(of people: [Person], open: Bool = false, _ limits: ChatLimits = ChatLimits()) {
        self.init(limits)
        for person in people { _ = self.enter(person, kind: open ? .chats : .conversations) }
        _ = self.detach(east)
        _ = self.pass(.seconds(10))
        self.asked = []
        self.announced = []
    }

    // MARK: What reaches the conversation

    mutating func handle(_ input: ConversationInput, from origin: Origin) -> [String] {
        self.run { $0.handle(input, from: origin, at: $1, into: &$2) }
    }

    /// Numbers of requests are made up unless the test wants to see them.
    mutating func ask(_ command: ChatCommand, on loop: OwnerID = east, request: RequestID? = nil, again: Bool = false) -> [String] {
        self.lastRequest += 1
        return self.handle(.command(command), from: Origin(loop: loop, request: request ?? self.lastRequest, isRepeat: again))
    }

    mutating func run(_ body: (inout Conversation, Moment, inout [ConversationEffect]) -> Void) -> [String] {
        self.lines = []
        self.work(body)
        return self.lines
    }

    private mutating func work(_ body: (inout Conversation, Moment, inout [ConversationEffect]) -> Void) {
        var effects: [ConversationEffect] = []
        body(&self.conversation, self.now, &effects)
        var next = 0
        while next < effects.count {
            self.perform(effects[next], into: &effects)
            next += 1
        }
    }

    private mutating func perform(_ effect: ConversationEffect, into effects: inout [ConversationEffect]) {
        switch effect {
        case .answer(let answer, let origin):
            if case .entered(let entered) = answer { self.entered = entered }
            if case .described(let description) = answer { self.described = description }
            self.lines.append(Line.answer(answer, to: origin))
        case .event(let event, _, let asked):
            if case .posted(let message) = event { self.announced.append(message) }
            self.lines.append(Line.event(event, asked: asked))
        case .tell(let event, let loops): self.lines.append(Line.tell(event, loops))
        case .callAgain: self.lines.append("call again")
        case .wake(let time): self.wakes.append(time)
        case .write(let change, let revision, let asked):
            self.conversation.hold(change, revision, at: self.now)
            self.request(.write(change, revision, asked), into: &effects)
        case .find(let sequence, let search): self.request(.find(sequence, search, self.shelf.message(sequence)), into: &effects)
        case .load: self.request(.load, into: &effects)
        case .recall: self.request(.recall, into: &effects)
        case .compare(let sequence, let limit): self.request(.compare(sequence, limit), into: &effects)
        case .seekHolders: self.lines.append("who holds it")
        case .restored(let changes):
            self.lines.append("restored \(changes.inPlace), moved \(changes.moved), lost \(changes.lost)")
        case .mistrust:
            self.conversation.abandon(at: self.now, into: &effects)
            self.conversation.reload(into: &effects)
        }
    }

    // MARK: The store

    private mutating func request(_ errand: StoreErrand, into effects: inout [ConversationEffect]) {
        self.asked.append(Line.errand(errand))
        if self.isStoreSlow { self.held.append(errand) } else { self.answer(errand, into: &effects) }
    }

    private mutating func answer(_ errand: StoreErrand, into effects: inout [ConversationEffect]) {
        switch errand {
        case .write(let change, let revision, let asked):
            self.shelf.write(change, revision)
            self.conversation.stored(change, revision: revision, asked: asked, at: self.now, into: &effects)
        case .find(let sequence, let search, let message):
            self.conversation.found(message, head: self.shelf.messages.count, for: search, sequence: sequence, at: self.now, into: &effects)
        case .load: self.conversation.loaded(self.shelf.loaded, at: self.now, into: &effects)
        case .recall: self.conversation.remember(self.shelf.recent, at: self.now, into: &effects)
        case .compare(let sequence, let limit):
            self.conversation.compared(self.shelf.page(after: sequence, limit: limit), at: self.now, into: &effects)
        }
    }

    /// The slow store answers the oldest of what it was asked; all of it unless told how much.
    mutating func answerStore(_ count: Int = .max) -> [String] {
        self.lines = []
        for _ in 0..<min(count, self.held.count) { self.answer(self.held.removeFirst()) }
        return self.lines
    }

    /// The slow store answers what it was asked last: reads and writes may overtake each other.
    mutating func answerStoreNewest() -> [String] {
        self.lines = []
        self.answer(self.held.removeLast())
        return self.lines
    }

    private mutating func answer(_ errand: StoreErrand) {
        var effects: [ConversationEffect] = []
        self.answer(errand, into: &effects)
        self.work { $2 = effects }
    }

    /// The store fails in all that this asks of it, and works again afterwards.
    mutating func losing(_ ask: (inout Stage) -> [String]) -> [String] {
        self.isStoreSlow = true
        defer { self.isStoreSlow = false }
        _ = ask(&self)
        return self.failStore()
    }

    /// The slow store fails in all it was asked.
    ///
    /// - Parameters:
    ///   - cause: what became of the writes.
    ///   - isDone: the store does them all the same, and only its answer is lost.
    mutating func failStore(_ cause: ChatError = .unavailable, isDone: Bool = false) -> [String] {
        self.lines = []
        let held = self.held
        self.held = []
        var isAbandoned = false
        for errand in held {
            switch errand {
            case .write(.cursors(let user, let read, _), _, _):
                self.work { $0.cursorsNotStored(of: user, read: read, because: cause, at: $1, into: &$2) }
            case .find(_, let search, _): self.work { $0.notFound(for: search, into: &$2) }
            case .write(let change, let revision, let asked):
                if isDone { self.shelf.write(change, revision) }
                if cause != .outcomeUnknown { self.conversation.holdNoLonger(change, revision) }
                if let asked { self.lines.append(Line.answer(.failed(cause), to: asked)) }
                if !isAbandoned { self.work { $0.writeFailed(because: cause, at: $1, into: &$2) } }
                isAbandoned = true
            case .load, .recall, .compare:
                if !isAbandoned { self.work { $0.abandon(at: $1, into: &$2) } }
                isAbandoned = true
            }
        }
        return self.lines
    }

    /// Forgets what the store was asked so far.
    mutating func forgetAsked() {
        self.asked = []
    }

    // MARK: Time and owners

    /// Time passes, and the conversation is woken whenever it asked for it.
    mutating func pass(_ duration: Duration) -> [String] {
        self.lines = []
        let end = self.now.after(duration)
        while let next = self.wakes.min(), next <= end {
            self.move(to: next)
            self.wakes.removeAll { $0 <= next }
            self.work { $0.tick(at: $1, into: &$2) }
        }
        self.move(to: end)
        return self.lines
    }

    private mutating func move(to monotonic: Int64) {
        let ahead = max(0, monotonic - self.now.monotonic)
        self.now = Moment(monotonic: self.now.monotonic + ahead, wall: Timestamp(milliseconds: self.now.wall.milliseconds + ahead))
    }

    /// When the conversation next wants to be woken, in milliseconds from now.
    var nextWake: Int64? {
        self.wakes.min().map { $0 - self.now.monotonic }
    }

    /// The owner dies: another begins with what the store has.
    mutating func changeOwner() {
        self.conversation = Conversation(rules: self.rules, isInbox: self.isInbox)
        self.wakes = []
        self.held = []
        self.asked = []
    }
}
