import Bytes
import ConfabClient
import EventLoop
import HTTPWire
import TLS
import Telemetry

/// The state of a run on its event loop, from the first connection to the last.
struct LoadRun {
    let plan: LoadPlan
    let loop: EventLoop
    /// Addresses of the plan's servers.
    let addresses: [SocketAddress]
    let dialect: MemberFrames
    let tls: TLSContext?
    let sampler: ServerSampler
    let groupOfMember: [UInt32]
    /// The first member of each conversation. The publishers are the first members.
    let firstMembers: [Int]

    var schedule: LoadSchedule
    var recorder: DeliveryRecorder
    var failures = LoadFailures()
    var record: LoadRecord
    var pacer: Pacer
    /// The next publisher in the round robin.
    var nextPublisher = 0
    /// Publishers whose message was answered since the end of the last turn.
    var answeredPublishers: [Int] = []

    var connections: [LoadConnection]
    /// Open handshakes by member.
    var handshakes: [Int: ClientHandshake] = [:]
    var openHandshakes = 0
    var startedCount = 0
    var openCount = 0
    var refusedCount = 0
    var lostCount = 0
    var framesIn: UInt64 = 0
    /// Members by the slot of their socket.
    var memberOfSlot: [UInt32] = []

    // Buffers shared by all connections of the loop.
    let readBuffer: UnsafeMutableRawBufferPointer
    var text = ByteBuffer(capacity: 4096)
    var frame = ByteBuffer(capacity: 4096)
    var stampReader = MessageStampReader()
    var random = FastRandom()

    static let readByteCount = 256 << 10
    /// Enough for a message in JSON, and for the pages and lists that a server may send.
    static let frameByteLimit = 4 << 20

    init(
        _ plan: LoadPlan, on loop: EventLoop, addresses: [SocketAddress], dialect: MemberFrames,
        tls: TLSContext?, sampler: ServerSampler
    ) {
        let start = MonotonicTime.exact
        self.plan = plan
        self.loop = loop
        self.addresses = addresses
        self.dialect = dialect
        self.tls = tls
        self.sampler = sampler
        self.groupOfMember = plan.groupOfMember
        self.firstMembers = (0..<plan.groups).map { plan.members(of: $0).lowerBound }
        self.schedule = LoadSchedule(plan, start: start)
        self.recorder = DeliveryRecorder(plan)
        self.record = LoadRecord(start: start, before: sampler.sample(withMemory: true))
        self.pacer = Pacer(.quiet, from: start)
        self.connections = Array(repeating: LoadConnection(), count: plan.connections)
        self.readBuffer = .allocate(
            byteCount: Self.frameByteLimit + 16 + Self.readByteCount, alignment: 16)
    }

    func deallocate() {
        self.readBuffer.deallocate()
    }

    /// Runs at the end of a loop turn. Returns whether the run is over.
    mutating func turnEnding() -> Bool {
        let now = MonotonicTime.exact
        self.startConnections()
        while let change = self.schedule.advance(self.observation(at: now)) {
            if change == .ended { return true }
            self.handle(change, at: .exact)
        }
        if self.schedule.isPublishing { self.publishDue(at: now) }
        return false
    }

    private func observation(at now: MonotonicTime) -> LoadSchedule.Observation {
        LoadSchedule.Observation(
            now: now, open: self.openCount, refused: self.refusedCount, lost: self.lostCount,
            frames: self.framesIn,
            expected: self.recorder.expected, received: self.recorder.received,
            repeated: self.recorder.repeated)
    }

    private mutating func handle(_ change: LoadSchedule.PhaseChange, at now: MonotonicTime) {
        switch change {
        case .connectionsSettled:
            self.record.afterConnecting = self.sampler.sample(withMemory: true)
            self.schedule.restartPhase(at: .exact)
            if self.schedule.isPublishing { self.beginPublishing(at: .exact) }
        case .idleEnded:
            self.record.afterIdle = self.sampler.sample(withMemory: true)
        case .measuringBegan:
            self.record.beginMeasuring(self.sampler.sample(withMemory: false), self.recorder)
            self.beginPublishing(at: .exact)
        case .publishingEnded:
            self.record.publishingEnd = now
            self.record.longestLag = self.pacer.longestLag
        case .measuringEnded:
            self.record.endMeasuring(self.sampler.sample(withMemory: true), self.recorder)
        case .ended:
            break
        }
    }

    private mutating func beginPublishing(at now: MonotonicTime) {
        self.pacer = Pacer(self.plan.pacing, from: now)
        self.answeredPublishers.removeAll(keepingCapacity: true)
        guard self.plan.pacing == .closedLoop else { return }
        self.answeredPublishers.append(contentsOf: self.firstMembers)
    }

    /// Builds the report.
    mutating func report() -> BenchmarkReport {
        if let stall = self.schedule.stallReason { self.failures.add(.stalled, example: stall) }
        self.failures.add(.lost, count: self.recorder.lost)
        self.failures.add(.repeated, count: self.recorder.repeated)
        self.failures.add(.late, count: self.recorder.late)
        self.failures.add(.foreign, count: self.recorder.foreign)
        self.failures.add(.outOfOrder, count: UInt64(self.recorder.membersOutOfOrder(self.plan)))
        return BenchmarkReport(
            self.plan, self.record, self.failures, openConnections: self.openCount)
    }

    /// Closes all open connections with a close frame.
    mutating func closeAll() {
        for member in self.connections.indices
        where self.connections[member].state == .open && self.connections[member].longPolling == nil
        {
            self.frame.removeAll()
            self.frame.append(webSocketClose: .normal, mask: self.random.mask())
            self.sendFrame(to: member)
            self.connections[member].transport?.shutdownWriting()
        }
    }
}
