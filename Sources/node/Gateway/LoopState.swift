import Bytes
import ChatEngine
import ChatModel
import DialectKit
import EngineIO
import EngineTransport
import EventLoop
import HTTPWire

/// The state of one loop: its parts, and the order in which they work in a turn.
///
/// The parts do not know this struct. What concerns several of them is here: input that reaches a
/// connection, upgrades, handoffs between loops, and the end of a connection.
struct LoopState {
    let context: LoopContext
    let pool: ConnectionPool
    var http: HTTPServer
    var bridge: ChatBridge
    /// Nil if no dialect uses Engine.IO.
    let engineIO: EngineIOState?
    var statistics = LoopStatistics()

    // Buffers that are lent for the duration of a call and reused.
    let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
    let inflater = Inflater()
    var loopMessages: [InterLoopMessage] = []
    var controlMessages: [LoopControlMessage] = []
    private var isTimeRead = false

    init(index: Int, loop: EventLoop, shared: GatewayShared, live: LiveSettings) {
        self.context = LoopContext(index: index, loop: loop, shared: shared, live: live)
        self.pool = ConnectionPool(self.context)
        self.http = HTTPServer(self.context, self.pool)
        self.bridge = ChatBridge(self.context, self.pool)
        let context = self.context
        self.engineIO = shared.engine.map { EngineIOState($0, context) }
        self.pool.polling = self.engineIO
        self.bridge.turnBegan(after: 0)
    }

    // MARK: Turns

    /// Reads the clocks, once a turn.
    mutating func beginTurn() {
        guard !self.isTimeRead else { return }
        self.isTimeRead = true
        self.bridge.turnBegan(after: self.context.updateClocks())
        self.bridge.chat.traceTime = self.context.loop.turnStart.nanoseconds
    }

    mutating func tick() {
        self.beginTurn()
        self.pool.makeRingOnce()
        let shared = self.context.shared
        shared.health.recordTurn(self.context.index)
        self.bridge.chat.tick(at: self.context.now)
        self.fireTimers()
        self.retryEngineRequests()
        self.pool.resumeAcceptingIfDue()
        self.statistics.publishIfDue(self.context, &self.bridge)
        if self.context.index == 0 { self.readBansIfStale() }
        if shared.health.beginProbeIfDue(self.context.index) {
            self.context.store.submit(
                .probe, ticket: StoreTicket(rawValue: UInt64(self.context.index)),
                for: shared.storeProbe)
        }
    }

    /// Replaces keys, certificates, origins and limits, for open and new connections.
    mutating func reload(_ live: LiveSettings) {
        self.context.reload(live)
        self.bridge.reload(live)
        self.http.allowedHost = []
    }

    mutating func endTurn() {
        self.beginTurn()
        self.rereadConnections()
        // The chat's deliveries cause requests of sessions, and those cause deliveries. More than
        // two rounds are rare.
        for round in 0..<16 {
            self.runTurnPhases()
            self.flush()
            guard self.hasWork else { break }
            if round == 15 { self.context.loop.requestTurn() }
        }
        self.handleConnectionEvents()
        if !self.pool.rereadQueue.isEmpty { self.context.loop.requestTurn() }
        self.isTimeRead = false
    }

    /// Whether the turn has produced work that must be done in the same turn.
    @inline(__always)
    private var hasWork: Bool {
        self.bridge.hasWork || self.pool.hasEvents || !(self.engineIO?.takeovers.isEmpty ?? true)
    }

    private mutating func runTurnPhases() {
        self.handleConnectionEvents()
        self.bridge.runChatEngine()
        self.decideUpgrades()
        self.moveSocketsOfTakeovers()
        self.bridge.regroup()
        // After all deliveries: only then have live subscribers been sent every message that their
        // feed counts as delivered.
        self.bridge.catchUpAll()
    }

    /// Writes what the turn has queued.
    private mutating func flush() {
        repeat {
            self.answerPolls()
            self.pool.writeTurns()
            // Before deliveries are reported: a connection that failed has received nothing.
            self.handleConnectionEvents()
        } while self.pool.hasUnwrittenFrames || self.engineIO?.server.needsFlush == true
        self.pool.endTurn()
        self.bridge.recordWritings()
        self.bridge.reportDeliveries()
    }

    mutating func stop() {
        self.pool.removeAll()
        self.readBuffer.deallocate()
    }
}
