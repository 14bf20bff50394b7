import Bytes
import ChatCore
import ChatModel
import Cluster
import Configuration
import DialectKit
import EngineIO
import EventLoop
import HTTPWire
import Identity
import JSON
import TLS
import Telemetry

/// Everything that one loop has.
struct LoopState {
    let index: Int
    let loop: EventLoop
    let shared: GatewayShared
    var live: LiveSettings
    let storeClient: LoopStoreClient
    let sessionsClient: LoopStoreClient
    var chat: ChatLoop
    /// The way to other nodes, where there are any.
    var relay: (any Relay)?
    /// The highest number of a view that the relay has been told of.
    private var newestView = 0
    var table = ConnectionTable()
    var connections = ConnectionList()
    var subscribers = SubscriberIndex()
    var users = UserTable()
    var requestContexts = Slab<RequestContext>()
    var wheel: TimerWheel
    var counters: LoopCounters
    /// Listeners, to be paused when descriptors run out.
    var listeners: [SocketToken] = []
    var resumeAcceptingAt: Int64 = 0
    var isDraining = false
    /// What is measured for operators, and requests whose answers take their time.
    var rates = LoopRates()
    var shardRates = ShardRates()
    var asyncResponseCount = 0
    /// Clients that came in the present second.
    var connects: (second: Int64, count: Int) = (0, 0)

    // Lent to whoever needs them during a call, and used again.
    let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
    var document: JSONDocument
    var steps: SessionSteps
    var rendering = Rendering()
    var frameBuffer = ByteBuffer(capacity: 4096)
    var joinedFrames = ByteBuffer(capacity: 4096)
    var joinedRange: Range<UInt32> = 0..<0
    var head = HTTPRequestHead()
    let deflater = Deflater()
    let inflater = Inflater()
    /// Where frames for many connections leave together; made at the first tick, by the loop's own thread.
    var sendRing: SendRing?
    var hasTriedSendRing = false
    /// What was added to it since it was last submitted, and the last piece that was put together for that, where its frames are a run.
    var ringSubmissions: [RingSubmission] = []
    var lastPiece: (run: Range<UInt32>, bytes: UnsafeRawBufferPointer)?
    /// Unsent frames on their way into one write.
    var gathered = ByteBuffer(capacity: 4096)
    var loopMessages: [InterLoopMessage] = []
    private var storeReplies: [StoreReply] = []
    private var storeRequests: [(request: StoreRequest, ticket: StoreTicket)] = []
    private var deliveries: [Delivery] = []
    private var controlMessages: [LoopControlMessage] = []
    var dirty: [UInt32] = []
    var expiredTimers: [TimerWheel.Entry] = []
    /// Feeds whose new messages may have to be reported as delivered after this turn's writes.
    var reportQueue: [FeedID] = []
    /// Connections of sessions of Engine.IO.
    var engineSessions: [EngineSessionID: SocketToken] = [:]
    /// Of this turn's: those to which something was written that a poll may be waiting for, and what they decided then.
    var pollableSessions: [SocketToken] = []
    var engineSteps: [(session: SocketToken, steps: EngineSteps)] = []
    /// Requests that are carried to the nodes that have their sessions, by number.
    var forwardedRequests: [UInt64: ForwardedRequest] = [:]
    /// WebSockets here that are to take over sessions elsewhere, by the number of the request that asked for it.
    var remoteProbes: [UInt64: SocketToken] = [:]
    /// What the last requests were answered with of sessions that are over, or have gone to other nodes: one that is asked again because
    /// its answer was lost gets the same.
    var retainedReplies: [UInt64: (answer: String, until: Int64)] = [:]
    /// WebSockets that have taken over from polling in this turn, and the connections that they go to.
    var upgradedSockets: [(socket: SocketToken, session: SocketToken)] = []
    /// Sessions that are personal now, or are so no longer.
    var regroupQueue: [SocketToken] = []
    /// Listeners who catch up and whose next page is due.
    var catchUpQueue: [(token: SocketToken, feed: FeedID)] = []
    /// Inboxes whose messages count as read when their connections have answered a ping behind them.
    var inboxCursors: [UInt32: InboxCursor] = [:]
    /// What cannot be rendered yet.
    var deferredEvents: [DeferredEvents.Key: DeferredEvents] = [:]
    /// Batches that the store has not answered, with the time of their leaving, in nanoseconds.
    private var pendingWrites: [StoreTicket: Int64] = [:]
    /// TLS connections that have more to read than one turn should give them.
    var rereadQueue: [SocketToken] = []
    /// Of the request that is being read.
    var credentials = Credentials.none
    var date: HTTPDate
    var now: ClockReading
    private let startedAt: Int64
    private var isTimeRead = false
    private var publishAt: Int64 = 0

    /// What an answer of the chat is for.
    struct RequestContext {
        let token: SocketToken
        let kind: Kind

        enum Kind {
            /// With the asker's own feed of the conversation, where it listens.
            case command(RequestTag, FeedID?)
            case join(
                FeedID, ConversationKey, from: StartPosition, requestedAt: Timestamp, RequestTag)
            case fetch(RequestTag)
            case page(RequestTag, ConversationKey)
            case catchUp(FeedID, WebSocketState.CatchUpQuery)
            case upgrade(PendingUpgrade)
            case numbers(NumberLookupPurpose, [UserID], tenant: ByteString)
            /// Of an operator's; nobody's connection waits for it.
            case operatorCommand(@Sendable (ChatAnswer) -> Void)
        }
    }

    init(index: Int, loop: EventLoop, shared: GatewayShared, live: LiveSettings) {
        self.index = index
        self.loop = loop
        self.shared = shared
        self.live = live
        self.storeClient = LoopStoreClient(
            shared.storeReplyMailboxes[index], of: loop, shared.storeErrors)
        self.sessionsClient = LoopStoreClient(
            shared.storeReplyMailboxes[index], of: loop, shared.storeErrors, isForSessions: true)
        let id = LoopID(incarnation: shared.settings.incarnation, loop: UInt16(index))
        self.chat = ChatLoop(id: id, view: shared.view, limits: shared.settings.chatLimits)
        self.counters = LoopCounters(dialectCount: shared.settings.dialects.count)
        self.document = JSONDocument(depthLimit: live.limits.jsonDepth)
        self.steps = SessionSteps(limits: shared.settings.chatLimits)
        let now = Self.readClocks()
        self.now = now
        self.startedAt = now.monotonic
        self.date = HTTPDate(now.wall)
        self.wheel = TimerWheel(tick: 0)
    }

    // MARK: Time

    private static func readClocks() -> ClockReading {
        ClockReading(monotonic: MonotonicTime.now.nanoseconds / 1_000_000, wall: WallClock.now)
    }

    /// The loop's ticks of 100 ms, counted from its start.
    var tickNumber: UInt32 { self.tickNumber(at: self.now.monotonic) }

    func tickNumber(at monotonic: Int64) -> UInt32 {
        UInt32(clamping: (monotonic - self.startedAt + 99) / 100)
    }

    /// The beginning of a tick, in monotonic milliseconds.
    func time(ofTick number: UInt32) -> Int64 { self.startedAt + max(0, Int64(number) - 1) * 100 }

    /// The clocks are read once a turn.
    mutating func beginTurn() {
        guard !self.isTimeRead else { return }
        self.isTimeRead = true
        let before = self.now.monotonic
        self.now = Self.readClocks()
        if self.now.monotonic - before > Self.stallMilliseconds, self.relay != nil {
            self.chat.resumedAfterStall(at: self.now)
        }
        self.steps.now = self.now.wall
        self.steps.monotonicMilliseconds = self.now.monotonic
        if self.now.wall.seconds != self.date.seconds { self.date = HTTPDate(self.now.wall) }
    }

    /// Ten ticks that did not come: the process was stopped, or got no time. Others take over from a node after twice as long at the earliest.
    private static let stallMilliseconds: Int64 = 1000

    mutating func tick() {
        self.beginTurn()
        if !self.hasTriedSendRing { self.makeSendRing() }
        self.shared.health.recordTurn(self.index)
        self.chat.tick(at: self.now)
        self.fireTimers()
        if !self.forwardedRequests.isEmpty || !self.retainedReplies.isEmpty {
            self.retryForwardedRequests()
        }
        if self.resumeAcceptingAt != 0, self.now.monotonic >= self.resumeAcceptingAt {
            self.resumeAccepting()
        }
        if self.now.monotonic >= self.publishAt {
            self.publishAt = self.now.monotonic + 1000
            self.publishMetrics()
        }
        if self.shared.health.beginProbeIfDue(self.index) {
            self.shared.stores[self.index].submit(
                .probe, ticket: StoreTicket(self.index), for: self.shared.storeProbe)
        }
    }

    /// Other keys, certificates, origins and limits, for whoever is there and whoever comes.
    ///
    /// Times and numbers that the chat itself keeps (typing, history) stay as they were until the node starts again.
    mutating func reload(_ live: LiveSettings) {
        self.live = live
        self.document = JSONDocument(depthLimit: live.limits.jsonDepth)
        self.steps.limits.contentBytes = live.limits.contentBytes
        self.steps.limits.metadataBytes = live.limits.metadataBytes
    }

    // MARK: Mail

    mutating func receiveMessages() {
        self.beginTurn()
        self.receiveStoreReplies()
        self.receiveControlMessages()
        var mail: [InterLoopMessage] = []
        swap(&mail, &self.loopMessages)
        self.shared.mailboxes[self.index].drain(into: &mail)
        for item in mail {
            switch item {
            case .envelope(let envelope): self.chat.receive(envelope, at: self.now)
            case .adopt(let handover): self.adopt(handover)
            case .adoptRequest(let handover): self.adoptRequest(handover)
            }
        }
        // Nothing that came is kept alive by the room it came in.
        mail.clear(keepingCapacityUpTo: 1024)
        swap(&mail, &self.loopMessages)
    }

    private mutating func receiveStoreReplies() {
        var letters: [StoreReply] = []
        swap(&letters, &self.storeReplies)
        self.shared.storeReplyMailboxes[self.index].drain(into: &letters)
        self.handleStoreReplies(&letters)
        swap(&letters, &self.storeReplies)
    }

    private mutating func handleStoreReplies(_ letters: inout [StoreReply]) {
        // Lent by the buffer; the array would hand out copies.
        letters.withUnsafeBufferPointer { letters in
            for place in letters.indices {
                let ticket = letters[place].ticket
                if letters[place].isForSession {
                    self.handleFetchReply(letters[place].answer, for: ticket)
                    continue
                }
                if !self.pendingWrites.isEmpty,
                    let start = self.pendingWrites.removeValue(forKey: ticket)
                {
                    self.recordWriteTime(since: start)
                }
                self.chat.storeAnswered(letters[place].answer, ticket: ticket, at: self.now)
            }
        }
        letters.clear(keepingCapacityUpTo: 1024)
    }

    private mutating func recordWriteTime(since start: Int64) {
        self.counters.storeTimes.record(UInt64(max(0, MonotonicTime.exact.nanoseconds - start)))
    }

    private mutating func receiveControlMessages() {
        var orders: [LoopControlMessage] = []
        swap(&orders, &self.controlMessages)
        self.shared.controlMailboxes[self.index].drain(into: &orders)
        for order in orders {
            switch order {
            case .follow(let view): self.chat.follow(view, at: self.now)
            case .messagesLost: self.chat.messagesMayBeLost(at: self.now)
            case .compareWithStore: self.chat.storeMayHaveLostData(at: self.now)
            case .rejoin(let incarnation, let view):
                self.chat.rejoin(
                    as: LoopID(incarnation: incarnation, loop: UInt16(self.index)), view: view,
                    at: self.now)
            case .report(let reply): reply(self.loopReport)
            case .shards(let reply): reply(self.chat.ownedShards.map(self.shardRates.report))
            case .storedPosition(let key, let reply): reply(self.chat.storedPosition(of: key))
            case .command(let command, let key, let reply):
                self.submitCommand(command, in: key, reply: reply)
            case .read(let request, let reply):
                self.shared.stores[self.index].submit(
                    request, ticket: 0, for: StoreReplyHandler(self.shared.storeErrors, reply))
            case .forwardedMessage(let text, let node):
                self.receiveForwardedMessage(text, from: node)
            case .attachSocket(let socket, let arrival): self.attachSocket(socket, arrival)
            case .respond(let token, let result, let answering):
                self.finishAsyncResponse(to: token, result, answering)
            }
        }
        swap(&orders, &self.controlMessages)
    }

    /// - Parameter letters: gets what the store has answered at once.
    private mutating func submitToStore(
        _ request: consuming StoreRequest, _ ticket: StoreTicket, _ news: [Envelope],
        into letters: inout [StoreReply]
    ) {
        self.shardRates.recordRequest(request, at: self.now.wall)
        let isWrite = if case .write = request { true } else { false }
        if !news.isEmpty, let relay = self.relay, case .write(var batch) = request {
            batch.publications = relay.publications(of: news, from: self.index)
            request = .write(batch)
        }
        let start = isWrite ? MonotonicTime.exact.nanoseconds : 0
        let count = letters.count
        self.storeClient.submit(
            request, ticket: ticket, to: self.shared.stores[self.index], into: &letters)
        guard isWrite else { return }
        if letters[count...].contains(where: { $0.ticket == ticket }) {
            self.recordWriteTime(since: start)
        } else {
            self.pendingWrites[ticket] = start
        }
    }

    // MARK: The end of a turn

    mutating func endTurn() {
        self.beginTurn()
        let again = self.rereadQueue
        self.rereadQueue = []
        for token in again { self.read(token) }
        // What the chat decides makes sessions ask, and what they ask makes it decide: rarely more than twice.
        for round in 0..<16 {
            self.runTurnPhases()
            self.flush()
            guard self.hasWork else { break }
            if round == 15 { self.loop.requestTurn() }
        }
        if !self.rereadQueue.isEmpty { self.loop.requestTurn() }
        self.isTimeRead = false
    }

    /// Whether the turn has made something that is to be done in it.
    @inline(__always)
    private var hasWork: Bool {
        self.chat.hasWork || self.chat.hasDeliveries || !self.upgradedSockets.isEmpty
            || !self.regroupQueue.isEmpty || !self.catchUpQueue.isEmpty
    }

    private mutating func runTurnPhases() {
        self.chat.publishesWithWrite = self.relay?.storePublishesWithWrite(of: self.index) ?? false
        while self.chat.hasWork {
            self.chat.finishTurn(at: self.now)
            // In the order in which they are numbered.
            if self.chat.publishesWithWrite { self.send(self.chat.takeEnvelopes()) }
            self.submitStoreRequests()
        }
        self.send(self.chat.takeEnvelopes())
        if self.chat.newestViewNumber > self.newestView {
            self.newestView = self.chat.newestViewNumber
            if self.newestView > self.chat.view.number {
                self.relay?.viewMentioned(number: self.newestView)
            }
        }
        self.deliverAll()
        self.moveUpgradedSockets()
        self.regroup()
        // Behind all of them: only here is it certain that whoever hears everything has got all that a feed counts as shown.
        self.catchUpAll()
    }

    private mutating func submitStoreRequests() {
        let news = self.chat.takeEnvelopesWithWrite()
        var requests: [(request: StoreRequest, ticket: StoreTicket)] = []
        swap(&requests, &self.storeRequests)
        self.chat.takeRequests(into: &requests)
        if !requests.isEmpty {
            var letters: [StoreReply] = []
            swap(&letters, &self.storeReplies)
            for place in requests.indices {
                // Moved out: a copy would count a reference for every text in it.
                let (request, ticket) = exchange(&requests[place], with: (.probe, 0))
                self.submitToStore(request, ticket, news, into: &letters)
            }
            self.handleStoreReplies(&letters)
            swap(&letters, &self.storeReplies)
        }
        swap(&requests, &self.storeRequests)
    }

    private mutating func deliverAll() {
        guard self.chat.hasDeliveries else { return }
        var deliveries: [Delivery] = []
        swap(&deliveries, &self.deliveries)
        self.chat.takeDeliveries(into: &deliveries)
        for place in deliveries.indices {
            self.deliver(exchange(&deliveries[place], with: .pageFailed(context: 0)))
        }
        swap(&deliveries, &self.deliveries)
    }

    private mutating func send(_ envelopes: [Envelope]) {
        var others: [Envelope] = []
        for envelope in envelopes {
            if envelope.to.incarnation != self.chat.id.incarnation {
                others.append(envelope)
            } else if !self.shared.mailboxes[Int(envelope.to.loop)].post(.envelope(envelope)) {
                // A full mailbox loses it, and the receiver sees the gap: the same as on the way between nodes.
                self.counters.lostEnvelopes += 1
            }
        }
        if !others.isEmpty { self.relay?.send(others, from: self.index) }
    }

    mutating func stop() {
        for slot in self.connections.indices where self.connections[slot] != nil {
            self.connections[slot] = nil
        }
        self.readBuffer.deallocate()
    }
}
