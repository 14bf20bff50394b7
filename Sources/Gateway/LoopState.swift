import Bytes
import ChatCore
import ChatEngine
import ChatModel
import Cluster
import Configuration
import DialectKit
import EngineIO
import EventLoop
import HTTPWire
import JSON

/// The state of one loop.
struct LoopState {
    let index: Int
    let loop: EventLoop
    let shared: GatewayShared
    var live: LiveSettings
    let storeClient: LoopStoreClient
    let sessionsClient: LoopStoreClient
    var chat: ChatLoop
    /// The connection to other nodes; nil without a cluster.
    var relay: (any Relay)?
    /// The highest view number that was reported to the relay.
    private var newestView = 0
    var table = ConnectionTable()
    var connections = ConnectionList()
    var subscribers = SubscriberIndex()
    var users = UserTable()
    var requestContexts = Slab<RequestContext>()
    var wheel: TimerWheel
    var counters: LoopCounters
    /// The listening sockets, which are paused when file descriptors run out.
    var listeners: [SocketToken] = []
    var resumeAcceptingAt: Int64 = 0
    var isDraining = false
    /// Measurements for operators, and the number of asynchronous responses being computed.
    var rates = LoopRates()
    var shardRates = ShardRates()
    var asyncResponseCount = 0
    /// New clients in the present second.
    var connects: (second: Int64, count: Int) = (0, 0)

    // Buffers that are lent for the duration of a call and reused.
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
    /// Writes frames for many connections together. Made at the first tick, on the loop's thread.
    var sendRing: SendRing?
    var hasTriedSendRing = false
    /// The writes in the ring since the last submission, and the last piece that was joined from a
    /// run.
    var ringSubmissions: [RingSubmission] = []
    var lastPiece: (run: Range<UInt32>, bytes: UnsafeRawBufferPointer)?
    /// Unsent frames that are gathered for one write.
    var gathered = ByteBuffer(capacity: 4096)
    var loopMessages: [InterLoopMessage] = []
    var storeReplies: [StoreReply] = []
    private var storeRequests: [(request: StoreRequest, ticket: StoreTicket)] = []
    private var deliveries: [Delivery] = []
    var controlMessages: [LoopControlMessage] = []
    var dirty: [UInt32] = []
    var expiredTimers: [TimerWheel.Entry] = []
    /// Feeds whose new messages may have to be reported as delivered after this turn's writes.
    var reportQueue: [FeedID] = []
    /// The connections of Engine.IO sessions.
    var engineSessions: [EngineSessionID: SocketToken] = [:]
    /// The polling sessions to which this turn wrote, and the steps that they decided.
    var pollableSessions: [SocketToken] = []
    var engineSteps: [(session: SocketToken, steps: EngineSteps)] = []
    /// Requests forwarded to the nodes that have their sessions, by number.
    var forwardedRequests: [UInt64: ForwardedRequest] = [:]
    /// WebSockets that are to take over sessions on other nodes, by the number of their request.
    var remoteProbes: [UInt64: SocketToken] = [:]
    /// The last answers of sessions that ended or moved to another node. A repeated request whose
    /// answer was lost gets the same answer.
    var retainedReplies: [UInt64: (answer: String, until: Int64)] = [:]
    /// The WebSockets that took over a polling session in this turn, and the sessions' connections.
    var upgradedSockets: [(socket: SocketToken, session: SocketToken)] = []
    /// Sessions whose `tracksDeliveries` has changed.
    var regroupQueue: [SocketToken] = []
    /// Subscriptions that catch up and whose next page is due.
    var catchUpQueue: [(token: SocketToken, feed: FeedID)] = []
    /// Inboxes by connection. Messages count as read when the connection answers a ping sent after
    /// them.
    var inboxCursors: [UInt32: InboxCursor] = [:]
    /// Events that cannot be rendered yet.
    var deferredEvents: [DeferredEvents.Key: DeferredEvents] = [:]
    /// When each pending batch was submitted to the store, in nanoseconds.
    var pendingWrites: [StoreTicket: Int64] = [:]
    /// TLS connections that have more input than one turn should read.
    var rereadQueue: [SocketToken] = []
    /// The credentials of the present request.
    var credentials = Credentials.none
    var date: HTTPDate
    var now: ClockReading
    private let startedAt: Int64
    private var isTimeRead = false
    private var publishAt: Int64 = 0

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

    /// The number of ticks of 100 ms since the loop's start.
    var tickNumber: UInt32 { self.tickNumber(at: self.now.monotonic) }

    func tickNumber(at monotonic: Int64) -> UInt32 {
        UInt32(clamping: (monotonic - self.startedAt + 99) / 100)
    }

    /// The beginning of a tick, in monotonic milliseconds.
    func time(ofTick number: UInt32) -> Int64 { self.startedAt + max(0, Int64(number) - 1) * 100 }

    /// Reads the clocks, once a turn.
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

    /// After ten missing ticks the process counts as suspended. Other nodes take over its shards
    /// after at least twice this time.
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
                .probe, ticket: StoreTicket(rawValue: UInt64(self.index)),
                for: self.shared.storeProbe)
        }
    }

    /// Replaces keys, certificates, origins and limits, for open and new connections.
    ///
    /// Settings of the chat core (typing, history) change only with a restart.
    mutating func reload(_ live: LiveSettings) {
        self.live = live
        self.document = JSONDocument(depthLimit: live.limits.jsonDepth)
        self.steps.limits.contentBytes = live.limits.contentBytes
        self.steps.limits.metadataBytes = live.limits.metadataBytes
    }

    // MARK: End of a turn

    mutating func endTurn() {
        self.beginTurn()
        let tokens = self.rereadQueue
        self.rereadQueue = []
        for token in tokens {
            if let connection = self.connection(token) { self.read(connection) }
        }
        // The chat's deliveries cause requests of sessions, and those cause deliveries. More than
        // two rounds are rare.
        for round in 0..<16 {
            self.runTurnPhases()
            self.flush()
            guard self.hasWork else { break }
            if round == 15 { self.loop.requestTurn() }
        }
        if !self.rereadQueue.isEmpty { self.loop.requestTurn() }
        self.isTimeRead = false
    }

    /// Whether the turn has produced work that must be done in the same turn.
    @inline(__always)
    private var hasWork: Bool {
        self.chat.hasWork || self.chat.hasDeliveries || !self.upgradedSockets.isEmpty
            || !self.regroupQueue.isEmpty || !self.catchUpQueue.isEmpty
    }

    private mutating func runTurnPhases() {
        self.chat.publishesWithWrite = self.relay?.storePublishesWithWrite(of: self.index) ?? false
        while self.chat.hasWork {
            self.chat.finishTurn(at: self.now)
            // Before the writes, which also carry envelopes: they must arrive in numerical order.
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
        // After all deliveries: only then have live subscribers been sent every message that their
        // feed counts as delivered.
        self.catchUpAll()
    }

    private mutating func submitStoreRequests() {
        let notifications = self.chat.takeEnvelopesWithWrite()
        var requests: [(request: StoreRequest, ticket: StoreTicket)] = []
        swap(&requests, &self.storeRequests)
        self.chat.takeRequests(into: &requests)
        if !requests.isEmpty {
            var replies: [StoreReply] = []
            swap(&replies, &self.storeReplies)
            for index in requests.indices {
                // Moved out, because a copy would count a reference for every string in it.
                let (request, ticket) = exchange(&requests[index], with: (.probe, 0))
                self.submitToStore(request, ticket, notifications, into: &replies)
            }
            self.handleStoreReplies(&replies)
            swap(&replies, &self.storeReplies)
        }
        swap(&requests, &self.storeRequests)
    }

    private mutating func deliverAll() {
        guard self.chat.hasDeliveries else { return }
        var deliveries: [Delivery] = []
        swap(&deliveries, &self.deliveries)
        self.chat.takeDeliveries(into: &deliveries)
        for index in deliveries.indices {
            self.deliver(exchange(&deliveries[index], with: .pageFailed(context: 0)))
        }
        swap(&deliveries, &self.deliveries)
    }

    private mutating func send(_ envelopes: [Envelope]) {
        var others: [Envelope] = []
        for envelope in envelopes {
            if envelope.to.incarnation != self.chat.id.incarnation {
                others.append(envelope)
            } else if !self.shared.mailboxes[Int(envelope.to.loop)].post(.envelope(envelope)) {
                // A full mailbox drops the envelope, and the receiver detects the gap, as between
                // nodes.
                self.counters.lostEnvelopes += 1
            }
        }
        if !others.isEmpty { self.relay?.send(others, from: self.index) }
    }

    mutating func stop() {
        self.connections = ConnectionList()
        self.readBuffer.deallocate()
    }
}
