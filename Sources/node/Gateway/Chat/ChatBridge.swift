import Bytes
import ChatCore
import ChatEngine
import ChatModel
import Cluster
import Configuration
import DialectKit
import EventLoop
import HTTPWire
import JSON

/// Connects the sessions of one loop's connections to the chat engine: requests go down, and
/// deliveries and answers come up.
///
/// A struct with plain arrays, because it handles every message: its fields need no exclusivity
/// checks.
struct ChatBridge {
    let context: LoopContext
    let pool: ConnectionPool
    /// The chat engine of this loop.
    var chat: ChatLoop
    var store: StoreTraffic
    var subscribers = SubscriberIndex()
    var users = UserTable()
    /// The pending requests of sessions and operators.
    var requestContexts = Slab<RequestContext>()
    /// The searches of connections.
    var searches: [SocketToken: SearchPermit] = [:]
    var queues = TurnQueues()
    /// Inboxes by connection. Messages count as read when the connection answers a ping sent after
    /// them.
    var inboxCursors: [UInt32: InboxCursor] = [:]
    /// Events that cannot be rendered yet.
    var deferredEvents: [DeferredEvents.Key: DeferredEvents] = [:]
    /// The highest view number that was reported to the relay.
    private var newestView = 0

    // Buffers that are lent for the duration of a call and reused.
    var document: JSONDocument
    var steps: SessionSteps
    var rendering = Rendering()

    init(_ context: LoopContext, _ pool: ConnectionPool) {
        self.context = context
        self.pool = pool
        let settings = context.settings
        let id = LoopID(incarnation: settings.incarnation, loop: UInt16(context.index))
        self.chat = ChatLoop(id: id, view: context.shared.view, limits: context.live.limits)
        self.chat.reportsPresence = settings.presenceObserver != nil
        self.store = StoreTraffic(context)
        self.document = JSONDocument(depthLimit: context.live.limits.jsonDepth)
        self.steps = SessionSteps(limits: context.live.limits)
    }

    /// Work for the end of the turn.
    struct TurnQueues {
        var deliveries: [Delivery] = []
        /// Feeds whose new messages may have to be reported as delivered after this turn's writes.
        var reports: [FeedID] = []
        /// Sessions whose `tracksDeliveries` has changed.
        var regroup: [SocketToken] = []
        /// Subscriptions that catch up and whose next page is due.
        var catchUp: [(token: SocketToken, feed: FeedID)] = []
        /// Messages that this turn writes to sockets.
        var writings: [MessageWriting] = []
        /// Answers that decide about an upgrade.
        var upgrades: [(token: SocketToken, request: UpgradeRequest, answer: ChatAnswer)] = []
    }

    // MARK: Turns

    /// After ten missing ticks the process counts as suspended. Other nodes take over its shards
    /// after at least twice this time.
    private static let stallMilliseconds: Int64 = 1000

    /// The clocks have been read at the beginning of a turn.
    ///
    /// - Parameter elapsed: the milliseconds since the previous turn began.
    mutating func turnBegan(after elapsed: Int64) {
        if elapsed > Self.stallMilliseconds, self.context.relay != nil {
            self.chat.resumedAfterStall(at: self.context.now)
        }
        self.steps.now = self.context.now.wall
        self.steps.monotonicMilliseconds = self.context.now.monotonic
    }

    mutating func reload(_ live: LiveSettings) {
        self.document = JSONDocument(depthLimit: live.limits.jsonDepth)
        self.steps.limits = live.limits
        self.chat.follow(live.limits)
    }

    /// Whether the turn has produced work that must be done in the same turn.
    var hasWork: Bool {
        @inline(__always) get {
            self.chat.hasWork || self.chat.hasDeliveries || !self.queues.regroup.isEmpty
                || !self.queues.catchUp.isEmpty || !self.queues.upgrades.isEmpty
        }
    }

    /// Sends what the chat engine has for other loops and the store, and delivers what it has for
    /// this loop's connections.
    mutating func runChatEngine() {
        self.chat.publishesWithWrite =
            self.context.relay?.storePublishesWithWrite(of: self.context.index) ?? false
        while self.chat.hasWork {
            self.chat.finishTurn(at: self.context.now)
            // Before the writes, which also carry envelopes: they must arrive in numerical order.
            if self.chat.publishesWithWrite { self.send(self.chat.takeEnvelopes()) }
            self.submitStoreRequests()
        }
        self.send(self.chat.takeEnvelopes())
        if let observe = self.context.settings.presenceObserver {
            for (conversation, changes) in self.chat.takePresence() {
                observe(changes, conversation)
            }
        }
        if self.chat.newestViewNumber > self.newestView {
            self.newestView = self.chat.newestViewNumber
            if self.newestView > self.chat.view.number {
                self.context.relay?.viewMentioned(number: self.newestView)
            }
        }
        self.deliverAll()
    }

    private mutating func deliverAll() {
        guard self.chat.hasDeliveries else { return }
        var deliveries: [Delivery] = []
        swap(&deliveries, &self.queues.deliveries)
        self.chat.takeDeliveries(into: &deliveries)
        for index in deliveries.indices {
            self.deliver(exchange(&deliveries[index], with: .pageFailed(context: 0)))
        }
        swap(&deliveries, &self.queues.deliveries)
    }

    private mutating func send(_ envelopes: [Envelope]) {
        var others: [Envelope] = []
        let mailboxes = self.context.shared.mailboxes
        for envelope in envelopes {
            if envelope.to.incarnation != self.chat.id.incarnation {
                others.append(envelope)
            } else if !mailboxes[Int(envelope.to.loop)].post(.envelope(envelope)) {
                // A full mailbox drops the envelope, and the receiver detects the gap, as between
                // nodes.
                self.context.counters.lostEnvelopes += 1
            }
        }
        if !others.isEmpty { self.context.relay?.send(others, from: self.context.index) }
    }
}
