import Bytes
import ChatClient
import EventLoop
import HTTPWire
import TLS
import Telemetry

/// A run from the first connection to the last: everything that lives on its loop.
struct LoadRun {
    let plan: LoadPlan
    let loop: EventLoop
    /// Of the plan's servers.
    let addresses: [SocketAddress]
    let dialect: LoadDialect
    let tls: TLSContext?
    let gauge: ServerGauge
    let groupOfMember: [UInt32]
    /// Of each conversation; its publishers are the first of its members.
    let firstMembers: [Int]

    var schedule: LoadSchedule
    var ledger: DeliveryLedger
    var failures = LoadFailures()
    var record: LoadRecord
    var pacer: Pacer
    /// Whose turn it is to publish, counted over all turns.
    var nextTurn = 0
    /// Publishers whose message was answered since the last turn's end.
    var answered: [Int] = []

    var connections: [LoadConnection]
    /// The members of open handshakes.
    var handshakes: [Int: ClientHandshake] = [:]
    var openHandshakes = 0
    var started = 0
    var openCount = 0
    var refusedCount = 0
    var goneCount = 0
    var framesIn: UInt64 = 0
    /// Members by the slots of their sockets.
    var memberOfSlot: [UInt32] = []

    // Of the whole loop: a read, a frame, and a text go through them one after the other.
    let room: UnsafeMutableRawBufferPointer
    var text = ByteBuffer(capacity: 4096)
    var frame = ByteBuffer(capacity: 4096)
    var markReader = LoadMarkReader()
    var chance = FastChance()

    static let readByteCount = 256 << 10
    /// A message in JSON, and the pages and lists that a server may send besides.
    static let frameByteLimit = 4 << 20

    init(
        _ plan: LoadPlan, on loop: EventLoop, addresses: [SocketAddress], dialect: LoadDialect, tls: TLSContext?, gauge: ServerGauge
    ) {
        let start = MonotonicTime.exact
        self.plan = plan
        self.loop = loop
        self.addresses = addresses
        self.dialect = dialect
        self.tls = tls
        self.gauge = gauge
        self.groupOfMember = plan.groupOfMember
        self.firstMembers = (0..<plan.groups).map { plan.members(of: $0).lowerBound }
        self.schedule = LoadSchedule(plan, start: start)
        self.ledger = DeliveryLedger(plan)
        self.record = LoadRecord(start: start, before: gauge.sample(withMemory: true))
        self.pacer = Pacer(.quiet, from: start)
        self.connections = Array(repeating: LoadConnection(), count: plan.connections)
        self.room = .allocate(byteCount: Self.frameByteLimit + 16 + Self.readByteCount, alignment: 16)
    }

    func deallocate() {
        self.room.deallocate()
    }

    /// What a turn does when its events are through. Answers whether the run is over.
    mutating func turnEnding() -> Bool {
        let now = MonotonicTime.exact
        self.startConnections()
        while let edge = self.schedule.advance(self.reading(at: now)) {
            if edge == .over { return true }
            self.pass(edge, at: .exact)
        }
        if self.schedule.isPublishing { self.publishWhatIsDue(at: now) }
        return false
    }

    private func reading(at now: MonotonicTime) -> LoadSchedule.Reading {
        LoadSchedule.Reading(
            now: now, open: self.openCount, refused: self.refusedCount, gone: self.goneCount, frames: self.framesIn,
            expected: self.ledger.expected, received: self.ledger.received, repeated: self.ledger.repeated)
    }

    private mutating func pass(_ edge: LoadSchedule.Edge, at now: MonotonicTime) {
        switch edge {
        case .settled:
            self.record.connected = self.gauge.sample(withMemory: true)
            if self.schedule.isPublishing { self.beginPublishing(at: .exact) }
        case .restEnds:
            self.record.rested = self.gauge.sample(withMemory: true)
        case .measuringBegins:
            self.record.beginMeasuring(self.gauge.sample(withMemory: false), self.ledger)
            self.beginPublishing(at: .exact)
        case .publishingEnds:
            self.record.publishingEnd = now
            self.record.longestLag = self.pacer.longestLag
        case .measuringEnds:
            self.record.endMeasuring(self.gauge.sample(withMemory: true), self.ledger)
        case .over:
            break
        }
    }

    private mutating func beginPublishing(at now: MonotonicTime) {
        self.pacer = Pacer(self.plan.pacing, from: now)
        self.answered.removeAll(keepingCapacity: true)
        guard self.plan.pacing == .closedLoop else { return }
        self.answered.append(contentsOf: self.firstMembers)
    }

    /// Says how it went.
    mutating func report() -> BenchmarkReport {
        if let stall = self.schedule.stall { self.failures.add(.stalled, example: stall) }
        self.failures.add(.lost, count: self.ledger.lost)
        self.failures.add(.repeated, count: self.ledger.repeated)
        self.failures.add(.late, count: self.ledger.late)
        self.failures.add(.foreign, count: self.ledger.foreign)
        self.failures.add(.outOfOrder, count: UInt64(self.ledger.membersInDisorder(self.plan)))
        return BenchmarkReport(self.plan, self.record, self.failures, openConnections: self.openCount)
    }

    /// Ends what is open in good order.
    mutating func closeAll() {
        for member in self.connections.indices where self.connections[member].step == .open && self.connections[member].polling == nil {
            self.frame.removeAll()
            self.frame.append(webSocketClose: .normal, mask: self.chance.mask())
            self.sendFrame(to: member)
            self.connections[member].transport?.finish()
        }
    }
}
