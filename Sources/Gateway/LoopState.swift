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
    var audiences = Audiences()
    var users = UserTable()
    var questions = Slab<Question>()
    var wheel: TimerWheel
    var counters: LoopCounters
    /// Listeners, to be paused when descriptors run out.
    var listeners: [SocketToken] = []
    var acceptsAgainAt: Int64 = 0
    var isDraining = false
    /// What is measured for operators, and requests whose answers take their time.
    var pace = LoopPace()
    var shardPace = ShardPace()
    var worksUnderWay = 0
    /// Clients that came in the present second.
    var connects: (second: Int64, count: Int) = (0, 0)

    // Lent to whoever needs them during a call, and used again.
    let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
    var document: JSONDocument
    var steps: SessionSteps
    var rendering = Rendering()
    var framing = ByteBuffer(capacity: 4096)
    var joined = ByteBuffer(capacity: 4096)
    var joinedRange: Range<UInt32> = 0..<0
    var head = HTTPRequestHead()
    let deflater = Deflater()
    let inflater = Inflater()
    /// Where frames for many connections leave together; made at the first tick, by the loop's own thread.
    var sendRing: SendRing?
    var hasTriedSendRing = false
    /// What was added to it since it was last submitted, and the last piece that was put together for that, where its frames are a run.
    var offered: [Offer] = []
    var lastPiece: (run: Range<UInt32>, bytes: UnsafeRawBufferPointer)?
    /// Unsent frames on their way into one write.
    var gathered = ByteBuffer(capacity: 4096)
    var mail: [LoopMail] = []
    private var letters: [StoreLetter] = []
    private var requests: [(request: StoreRequest, ticket: StoreTicket)] = []
    private var deliveries: [Delivery] = []
    private var orders: [LoopOrder] = []
    var dirty: [UInt32] = []
    var expired: [TimerWheel.Entry] = []
    /// Feeds whose new messages may have to be reported as delivered after this turn's writes.
    var reportable: [FeedID] = []
    /// Connections of sessions of Engine.IO.
    var engines: [EngineSessionID: SocketToken] = [:]
    /// Of this turn's: those to which something was written that a poll may be waiting for, and what they decided then.
    var pollable: [SocketToken] = []
    var engineSteps: [(session: SocketToken, steps: EngineSteps)] = []
    /// Requests that are carried to the nodes that have their sessions, by number.
    var errands: [UInt64: EngineErrand] = [:]
    /// WebSockets here that are to take over sessions elsewhere, by the number of the request that asked for it.
    var carriedProbes: [UInt64: SocketToken] = [:]
    /// What the last requests were answered with of sessions that are over, or have gone to other nodes: one that is asked again because
    /// its answer was lost gets the same.
    var departed: [UInt64: (answer: String, until: Int64)] = [:]
    /// WebSockets that have taken over from polling in this turn, and the connections that they go to.
    var upgraded: [(socket: SocketToken, session: SocketToken)] = []
    /// Sessions that are personal now, or are so no longer.
    var regroupable: [SocketToken] = []
    /// Listeners who catch up and whose next page is due.
    var behind: [(token: SocketToken, feed: FeedID)] = []
    /// Inboxes whose messages count as read when their connections have answered a ping behind them.
    var inboxes: [UInt32: OpenInbox] = [:]
    /// What cannot be rendered yet.
    var held: [HeldEvents.Place: HeldEvents] = [:]
    /// Batches that the store has not answered, with the time of their leaving, in nanoseconds.
    private var writesUnderWay: [StoreTicket: Int64] = [:]
    /// TLS connections that have more to read than one turn should give them.
    var readAgain: [SocketToken] = []
    /// Of the request that is being read.
    var credentials = Credentials.none
    var date: HTTPDate
    var now: Moment
    private let startedAt: Int64
    private var isTimeRead = false
    private var publishAt: Int64 = 0

    /// What an answer of the chat is for.
    struct Question {
        let token: SocketToken
        let kind: Kind

        enum Kind {
            /// With the asker's own feed of the conversation, where it listens.
            case command(SessionTag, FeedID?)
            case entrance(FeedID, ConversationKey, from: Beginning, askedAt: Timestamp, SessionTag)
            case fetch(SessionTag)
            case page(SessionTag, ConversationKey)
            case catchUp(FeedID, WebSocketTalk.CatchUpLook)
            case upgrade(PendingUpgrade)
            case numbers(NumbersUse, [UserID], tenant: ByteString)
            /// Of an operator's; nobody's connection waits for it.
            case order(@Sendable (ChatAnswer) -> Void)
        }
    }

    init(index: Int, loop: EventLoop, shared: GatewayShared, live: LiveSettings) {
        self.index = index
        self.loop = loop
        self.shared = shared
        self.live = live
        self.storeClient = LoopStoreClient(shared.answers[index], of: loop, shared.complaints)
        self.sessionsClient = LoopStoreClient(shared.answers[index], of: loop, shared.complaints, isForSessions: true)
        let id = OwnerID(incarnation: shared.settings.incarnation, loop: UInt16(index))
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

    private static func readClocks() -> Moment {
        Moment(monotonic: MonotonicTime.now.nanoseconds / 1_000_000, wall: WallClock.now)
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
        if self.now.monotonic - before > Self.sleepMilliseconds, self.relay != nil { self.chat.hasSlept(at: self.now) }
        self.steps.now = self.now.wall
        self.steps.monotonic = self.now.monotonic
        if self.now.wall.seconds != self.date.seconds { self.date = HTTPDate(self.now.wall) }
    }

    /// Ten ticks that did not come: the process was stopped, or got no time. Others take over from a node after twice as long at the earliest.
    private static let sleepMilliseconds: Int64 = 1000

    mutating func tick() {
        self.beginTurn()
        if !self.hasTriedSendRing { self.makeSendRing() }
        self.shared.health.turned(self.index)
        self.chat.tick(at: self.now)
        self.fireTimers()
        if !self.errands.isEmpty || !self.departed.isEmpty { self.lookAfterErrands() }
        if self.acceptsAgainAt != 0, self.now.monotonic >= self.acceptsAgainAt { self.acceptAgain() }
        if self.now.monotonic >= self.publishAt {
            self.publishAt = self.now.monotonic + 1000
            self.publish()
        }
        if self.shared.health.probeIsDue(self.index) {
            self.shared.stores[self.index].submit(.probe, ticket: StoreTicket(self.index), for: self.shared.probe)
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

    mutating func takeMail() {
        self.beginTurn()
        self.takeLetters()
        self.takeOrders()
        var mail: [LoopMail] = []
        swap(&mail, &self.mail)
        self.shared.mailboxes[self.index].drain(into: &mail)
        for item in mail {
            switch item {
            case .envelope(let envelope): self.chat.receive(envelope, at: self.now)
            case .adopt(let handover): self.adopt(handover)
            case .adoptRequest(let handover): self.adoptRequest(handover)
            }
        }
        // Nothing that came is kept alive by the room it came in.
        mail.clear(keepingRoomFor: 1024)
        swap(&mail, &self.mail)
    }

    private mutating func takeLetters() {
        var letters: [StoreLetter] = []
        swap(&letters, &self.letters)
        self.shared.answers[self.index].drain(into: &letters)
        self.read(&letters)
        swap(&letters, &self.letters)
    }

    private mutating func read(_ letters: inout [StoreLetter]) {
        // Lent by the buffer; the array would hand out copies.
        letters.withUnsafeBufferPointer { letters in
            for place in letters.indices {
                let ticket = letters[place].ticket
                if letters[place].isForSession {
                    self.fetched(letters[place].answer, for: ticket)
                    continue
                }
                if !self.writesUnderWay.isEmpty, let start = self.writesUnderWay.removeValue(forKey: ticket) {
                    self.noteWritten(since: start)
                }
                self.chat.storeAnswered(letters[place].answer, ticket: ticket, at: self.now)
            }
        }
        letters.clear(keepingRoomFor: 1024)
    }

    private mutating func noteWritten(since start: Int64) {
        self.counters.storeTimes.record(UInt64(max(0, MonotonicTime.exact.nanoseconds - start)))
    }

    private mutating func takeOrders() {
        var orders: [LoopOrder] = []
        swap(&orders, &self.orders)
        self.shared.orders[self.index].drain(into: &orders)
        for order in orders {
            switch order {
            case .follow(let view): self.chat.follow(view, at: self.now)
            case .mailWasLost: self.chat.mailWasLost(at: self.now)
            case .compareWithStore: self.chat.storeMayHaveForgotten(at: self.now)
            case .become(let incarnation, let view):
                self.chat.become(OwnerID(incarnation: incarnation, loop: UInt16(self.index)), view: view, at: self.now)
            case .report(let reply): reply(self.report)
            case .shards(let reply): reply(self.chat.holdings.map(self.shardPace.report))
            case .stored(let key, let reply): reply(self.chat.stored(of: key))
            case .command(let command, let key, let reply): self.command(command, in: key, reply: reply)
            case .read(let request, let reply):
                self.shared.stores[self.index].submit(request, ticket: 0, for: StoreReader(self.shared.complaints, reply))
            case .letter(let text, let node): self.takeLetter(text, from: node)
            case .attach(let socket, let arrival): self.attach(socket, arrival)
            case .respond(let token, let result, let answering): self.respond(to: token, result, answering)
            }
        }
        swap(&orders, &self.orders)
    }

    /// - Parameter letters: gets what the store has answered at once.
    private mutating func submit(
        _ request: consuming StoreRequest, _ ticket: StoreTicket, _ news: [Envelope], into letters: inout [StoreLetter]
    ) {
        self.shardPace.leaves(request, at: self.now.wall)
        let isWrite = if case .write = request { true } else { false }
        if !news.isEmpty, let relay = self.relay, case .write(var batch) = request {
            batch.notices = relay.notices(of: news, from: self.index)
            request = .write(batch)
        }
        let start = isWrite ? MonotonicTime.exact.nanoseconds : 0
        let count = letters.count
        self.storeClient.submit(request, ticket: ticket, to: self.shared.stores[self.index], into: &letters)
        guard isWrite else { return }
        if letters[count...].contains(where: { $0.ticket == ticket }) {
            self.noteWritten(since: start)
        } else {
            self.writesUnderWay[ticket] = start
        }
    }

    // MARK: The end of a turn

    mutating func endTurn() {
        self.beginTurn()
        let again = self.readAgain
        self.readAgain = []
        for token in again { self.read(token) }
        // What the chat decides makes sessions ask, and what they ask makes it decide: rarely more than twice.
        for round in 0..<16 {
            self.settle()
            self.flush()
            guard self.hasWork else { break }
            if round == 15 { self.loop.runAgain() }
        }
        if !self.readAgain.isEmpty { self.loop.runAgain() }
        self.isTimeRead = false
    }

    /// Whether the turn has made something that is to be done in it.
    @inline(__always)
    private var hasWork: Bool {
        self.chat.hasWork || self.chat.hasDeliveries || !self.upgraded.isEmpty || !self.regroupable.isEmpty || !self.behind.isEmpty
    }

    private mutating func settle() {
        self.chat.carriesNews = self.relay?.storeCarriesNews(of: self.index) ?? false
        while self.chat.hasWork {
            self.chat.settle(at: self.now)
            // In the order in which they are numbered.
            if self.chat.carriesNews { self.send(self.chat.takeEnvelopes()) }
            self.askStore()
        }
        self.send(self.chat.takeEnvelopes())
        if self.chat.newestView > self.newestView {
            self.newestView = self.chat.newestView
            if self.newestView > self.chat.view.number { self.relay?.hasHeard(ofView: self.newestView) }
        }
        self.deliverAll()
        self.moveUpgraded()
        self.regroup()
        // Behind all of them: only here is it certain that whoever hears everything has got all that a feed counts as shown.
        self.catchUpAll()
    }

    private mutating func askStore() {
        let news = self.chat.takeNews()
        var requests: [(request: StoreRequest, ticket: StoreTicket)] = []
        swap(&requests, &self.requests)
        self.chat.takeRequests(into: &requests)
        if !requests.isEmpty {
            var letters: [StoreLetter] = []
            swap(&letters, &self.letters)
            for place in requests.indices {
                // Moved out: a copy would count a reference for every text in it.
                let (request, ticket) = exchange(&requests[place], with: (.probe, 0))
                self.submit(request, ticket, news, into: &letters)
            }
            self.read(&letters)
            swap(&letters, &self.letters)
        }
        swap(&requests, &self.requests)
    }

    private mutating func deliverAll() {
        guard self.chat.hasDeliveries else { return }
        var deliveries: [Delivery] = []
        swap(&deliveries, &self.deliveries)
        self.chat.takeDeliveries(into: &deliveries)
        for place in deliveries.indices { self.deliver(exchange(&deliveries[place], with: .pageFailed(context: 0))) }
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
        for slot in self.connections.indices where self.connections[slot] != nil { self.connections[slot] = nil }
        self.readBuffer.deallocate()
    }
}
