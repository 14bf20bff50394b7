import EventLoop
public import SeededRandom

/// Machines and the network between them, played in one thread by a seed.
///
/// Connections behave as those of TCP: bytes arrive in order and never twice. A blocked link only
/// delays them, because TCP repeats what is lost; a connection that a middlebox forgot loses them
/// for ever, and neither end notices.
public final class SimulatedNetwork {
    /// The time since the beginning, in nanoseconds.
    public private(set) var now: Int64 = 0
    public var random: SeededGenerator
    /// A hash (FNV-1a) of all bytes that arrived, with their times.
    public private(set) var digest: UInt64 = 0xcbf2_9ce4_8422_2325
    private var queue = EventQueue<() -> Void>()
    public private(set) var hosts: [SimulatedHost] = []
    private var links: [LinkKey: SimulatedLink] = [:]
    /// The conditions of all links that were not changed.
    public var standardLink = SimulatedLink()
    /// Sockets with segments that wait for a blocked link.
    private var holding: [SimulatedSocket] = []

    struct LinkKey: Hashable {
        let from: Int
        let to: Int
    }

    public init(seed: UInt64) {
        self.random = SeededGenerator(seed: seed)
    }

    /// Adds a machine. Its address is 10.0.0.N, its clocks differ from those of the others.
    ///
    /// - Parameters:
    ///   - clockOffset: nanoseconds that its wall clock is ahead.
    ///   - driftPPM: how much faster its clocks run, in millionths.
    public func addHost(_ name: String, clockOffset: Int64 = 0, driftPPM: Int64 = 0)
        -> SimulatedHost
    {
        let host = SimulatedHost(
            name, number: self.hosts.count, clockOffset: clockOffset, driftPPM: driftPPM, in: self)
        self.hosts.append(host)
        return host
    }

    // MARK: Time

    /// Runs `action` after this many nanoseconds.
    public func schedule(after nanoseconds: Int64, _ action: @escaping () -> Void) {
        self.queue.add(action, at: self.now + max(0, nanoseconds))
    }

    /// Plays until this time.
    public func run(until end: Int64) {
        while let time = self.queue.nextTime, time <= end, let next = self.queue.next() {
            self.now = max(self.now, time)
            next.action()
        }
        self.now = max(self.now, end)
    }

    /// Ends all processes. Afterwards nothing refers to the network.
    public func shutDown() {
        for host in self.hosts { host.end(.powerLoss) }
        self.queue = EventQueue()
        self.holding = []
    }

    // MARK: Links

    /// The conditions of the link from one machine to another. Changing one direction leaves the
    /// other as it is.
    public subscript(from: SimulatedHost, to: SimulatedHost) -> SimulatedLink {
        get { self.links[LinkKey(from: from.number, to: to.number)] ?? self.standardLink }
        set {
            self.links[LinkKey(from: from.number, to: to.number)] = newValue
            if !newValue.isBlocked { self.releaseHeld() }
        }
    }

    /// Resets all connections between two machines. Both ends notice.
    public func reset(between one: SimulatedHost, and other: SimulatedHost) {
        for (socket, peer) in self.connections(between: one, and: other) {
            for end in [socket, peer] {
                let delay = self.delay(of: self[end.host, end.host])
                self.schedule(after: delay) { end.receiveReset() }
            }
        }
    }

    /// Makes the network forget all connections between two machines: their bytes vanish.
    public func forget(between one: SimulatedHost, and other: SimulatedHost) {
        for (socket, peer) in self.connections(between: one, and: other) {
            socket.isForgotten = true
            peer.isForgotten = true
        }
    }

    private func connections(between one: SimulatedHost, and other: SimulatedHost) -> [(
        SimulatedSocket, SimulatedSocket
    )] {
        one.openSockets.compactMap { socket in
            guard let peer = socket.peer, peer.host === other else { return nil }
            return (socket, peer)
        }
    }

    // MARK: Segments

    func delay(of link: SimulatedLink) -> Int64 {
        self.random.number(link.latencyMicroseconds) * 1000
    }

    /// Sends a segment over the connection of `sender`.
    func transmit(_ segment: SimulatedSegment, from sender: SimulatedSocket) {
        guard let receiver = sender.peerHost else { return }
        let link = self[sender.host, receiver]
        let arrival = max(
            sender.lastArrival + 1,
            self.now + self.delay(of: link)
                + Int64(segment.byteCount) * 1000 / link.bytesPerMicrosecond)
        sender.lastArrival = arrival
        self.schedule(after: arrival - self.now) { self.arrive(segment, from: sender) }
    }

    private func arrive(_ segment: SimulatedSegment, from sender: SimulatedSocket) {
        guard let host = sender.peerHost, !sender.isForgotten else { return }
        if !sender.held.isEmpty || self[sender.host, host].isBlocked {
            if sender.held.isEmpty { self.holding.append(sender) }
            sender.held.append(segment)
            return
        }
        if let receiver = sender.peer, receiver.state != .closed {
            self.record(segment, to: host)
            receiver.receive(segment)
        } else if segment.isAnswered, host.isPowered {
            // A machine answers bytes for a socket that it does not have with a reset.
            self.schedule(after: self.delay(of: self[host, sender.host])) {
                sender.receiveReset()
            }
        }
    }

    private func record(_ segment: SimulatedSegment, to host: SimulatedHost) {
        func add(_ value: UInt64) { self.digest = (self.digest ^ value) &* 0x100_0000_01b3 }
        add(UInt64(self.now))
        add(UInt64(host.number))
        if case .data(let bytes) = segment { for byte in bytes { add(UInt64(byte)) } }
    }

    /// TCP repeats lost segments within a second of the link's return. Those that arrive before
    /// wait for them.
    private func releaseHeld() {
        let released = self.holding.filter { socket in
            socket.peerHost.map { !self[socket.host, $0].isBlocked } ?? true
        }
        self.holding.removeAll { socket in released.contains { $0 === socket } }
        for socket in released {
            self.schedule(after: self.random.number(1_000_000...1_000_000_000)) {
                let segments = socket.held
                socket.held = []
                for segment in segments { self.arrive(segment, from: socket) }
            }
        }
    }
}

/// The conditions of one direction between two machines.
public struct SimulatedLink: Sendable {
    public var latencyMicroseconds: ClosedRange<Int64> = 50...300
    public var bytesPerMicrosecond: Int64 = 100
    public var isBlocked = false

    public init() {}
}

/// A part of a connection's bytes, or the end of a side.
enum SimulatedSegment {
    case data([UInt8])
    case end
    case reset
    /// The answer to a connection attempt.
    case accepted

    var isAnswered: Bool {
        switch self {
        case .data, .accepted: true
        case .end, .reset: false
        }
    }

    var byteCount: Int { if case .data(let bytes) = self { bytes.count } else { 40 } }
}
