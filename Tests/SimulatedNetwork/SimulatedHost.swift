import Bytes
public import EventLoop
import Glibc
import SeededRandom

/// A program on a simulated machine.
public protocol SimulatedProcess: AnyObject {
    /// Does everything that is due, with the machine's clocks and sockets. Called when a socket has
    /// changed, and at the time that the last call returned.
    ///
    /// - Returns: in how many nanoseconds it must be called again; nil if only sockets wake it.
    func run() -> Int64?
}

/// The end of a process.
public enum SimulatedEnd: Sendable {
    /// The kernel closes its sockets.
    case killed
    /// The machine stops. Its peers learn nothing until it is up again.
    case powerLoss
}

/// A machine of a `SimulatedNetwork`, with the sockets of its process.
public final class SimulatedHost {
    public let name: String
    let number: Int
    /// The IP address.
    public let address: String
    unowned let network: SimulatedNetwork
    /// Nanoseconds that the wall clock is ahead. It may change at any time.
    public var clockOffset: Int64
    private let driftPPM: Int64
    /// Whether a process runs.
    public var isUp: Bool { self.process != nil }
    private(set) var isPowered = true
    private var process: (any SimulatedProcess)?
    private var machine: SimulatedMachine?

    private var sockets: [Int32: SimulatedSocket] = [:]
    private var nextDescriptor = Socket.firstSimulatedDescriptor
    private var nextPort: UInt16 = 40_000
    private var frozenUntil: Int64 = 0
    /// When the process runs next, and the number of that plan: an earlier one replaces it.
    private var wakeTime: Int64?
    private var plan = 0

    /// 2026-01-01, where the clocks of the simulation begin.
    private static let wallStart: Int64 = 1_767_225_600 * 1_000_000_000

    init(
        _ name: String, number: Int, clockOffset: Int64, driftPPM: Int64,
        in network: SimulatedNetwork
    ) {
        self.name = name
        self.number = number
        self.address = "10.0.\(number / 250).\(number % 250 + 1)"
        self.network = network
        self.clockOffset = clockOffset
        self.driftPPM = driftPPM
    }

    // MARK: The process

    /// Starts a process, which `make` creates on the machine.
    public func start<Failure: Error>(
        _ make: () throws(Failure) -> any SimulatedProcess
    ) throws(Failure) {
        let machine = SimulatedMachine(
            clock: SimulatedClock(monotonicNanoseconds: 0, wallNanoseconds: 0), sockets: self)
        self.machine = machine
        self.isPowered = true
        self.advanceClocks(of: machine)
        self.process = try machine.run(make)
        self.wake(after: 0)
    }

    /// Ends the process at once.
    public func end(_ end: SimulatedEnd) {
        guard let machine else { return }
        let sockets = self.openSockets
        self.sockets = [:]
        self.process = nil
        for socket in sockets {
            switch end {
            case .killed: socket.close()
            case .powerLoss: socket.vanish()
            }
        }
        // Nothing of this reaches the network any more. It releases what the loops hold.
        machine.run {
            for loop in machine.loops {
                loop.stop()
                loop.join()
            }
        }
        self.sockets = [:]
        self.machine = nil
        self.isPowered = end == .killed
        self.plan += 1
        self.wakeTime = nil
    }

    /// Stops the process for this time. Its kernel still receives and acknowledges bytes.
    public func freeze(for nanoseconds: Int64) {
        self.frozenUntil = max(self.frozenUntil, self.network.now + nanoseconds)
    }

    /// Runs the process after this time, unless it runs before.
    public func wake(after nanoseconds: Int64) {
        let time = self.network.now + max(0, nanoseconds)
        if let wakeTime, wakeTime <= time { return }
        self.wakeTime = time
        self.plan += 1
        let plan = self.plan
        self.network.schedule(after: time - self.network.now) {
            if plan == self.plan { self.runProcess() }
        }
    }

    private func runProcess() {
        self.wakeTime = nil
        guard let machine, let process else { return }
        guard self.network.now >= self.frozenUntil else {
            return self.wake(after: self.frozenUntil - self.network.now)
        }
        self.advanceClocks(of: machine)
        if let next = machine.run({ process.run() }) { self.wake(after: max(1000, next)) }
    }

    func socketChanged() {
        self.wake(after: self.network.random.number(1_000...20_000))
    }

    /// The loops of the machine.
    public var loops: [EventLoop] { self.machine?.loops ?? [] }

    private func advanceClocks(of machine: SimulatedMachine) {
        let elapsed = self.network.now + self.network.now / 1_000_000 * self.driftPPM
        // Every machine started at another time.
        machine.clock.monotonicNanoseconds =
            1_000_000_000_000 + Int64(self.number) * 77_000_000_000 + elapsed
        machine.clock.wallNanoseconds = Self.wallStart + self.clockOffset + elapsed
    }

    // MARK: Sockets

    /// In the order in which they were opened.
    var openSockets: [SimulatedSocket] {
        self.sockets.values.sorted { $0.descriptor < $1.descriptor }
    }

    private func addSocket() -> SimulatedSocket {
        let socket = SimulatedSocket(self, self.nextDescriptor)
        self.sockets[self.nextDescriptor] = socket
        self.nextDescriptor += 1
        return socket
    }

    /// A connection attempt arrives. Several sockets may listen on one port.
    fileprivate func accept(_ peer: SimulatedSocket, port: UInt16) -> Bool {
        let listeners = self.openSockets.filter {
            $0.state == .listening && $0.localAddress?.port == port
        }
        guard let listener = self.network.random.pick(listeners) else { return false }
        let socket = self.addSocket()
        socket.state = .connected
        socket.localAddress = peer.peerAddress
        socket.peerAddress = peer.localAddress
        (socket.peer, socket.peerHost) = (peer, peer.host)
        (peer.peer, peer.peerHost) = (socket, self)
        listener.backlog.append(socket)
        self.network.transmit(.accepted, from: socket)
        self.socketChanged()
        return true
    }
}

extension SimulatedHost: SocketPort {
    public func open() -> Int32 { self.addSocket().descriptor }

    public func bind(_ descriptor: Int32, to address: SocketAddress) -> Int32 {
        var address = address
        if address.port == 0 {
            self.nextPort += 1
            address = address.with(port: self.nextPort)
        }
        self.sockets[descriptor]?.localAddress = address
        return 0
    }

    public func listen(_ descriptor: Int32) -> Int32 {
        self.sockets[descriptor]?.state = .listening
        return 0
    }

    public func connect(_ descriptor: Int32, to address: SocketAddress) -> Int32 {
        guard let socket = self.sockets[descriptor] else { return EBADF }
        guard let host = self.network.hosts.first(where: { $0.address == address.host }) else {
            return EHOSTUNREACH
        }
        self.nextPort += 1
        socket.localAddress = SocketAddress(literal: self.address, port: self.nextPort)
        socket.peerAddress = address
        socket.state = .connecting
        self.attempt(socket, host, address.port, pause: 1_000_000_000)
        return EINPROGRESS
    }

    /// Sends a connection request, and again after a pause that doubles.
    private func attempt(
        _ socket: SimulatedSocket, _ host: SimulatedHost, _ port: UInt16, pause: Int64
    ) {
        let network = self.network
        network.schedule(after: network.delay(of: network[self, host])) {
            guard socket.state == .connecting else { return }
            guard host.isPowered, !network[self, host].isBlocked else {
                guard pause < 64_000_000_000 else { return socket.fail(ETIMEDOUT) }
                return network.schedule(after: pause) {
                    self.attempt(socket, host, port, pause: pause * 2)
                }
            }
            if !host.accept(socket, port: port) {
                network.schedule(after: network.delay(of: network[host, self])) {
                    socket.receiveReset()
                }
            }
        }
    }

    public func takeError(of descriptor: Int32) -> Int32 {
        self.sockets[descriptor]?.takeError() ?? 0
    }

    public func accept(_ descriptor: Int32) -> ListeningSocket.AcceptResult {
        guard let listener = self.sockets[descriptor], !listener.backlog.isEmpty else {
            return .wouldBlock
        }
        let socket = listener.backlog.removeFirst()
        guard let peer = socket.peerAddress else { return .wouldBlock }
        return .accepted(Socket(descriptor: socket.descriptor), peer: peer)
    }

    public func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer)
        -> Socket.SocketResult
    {
        self.sockets[descriptor]?.read(into: buffer) ?? .failed(ECONNRESET)
    }

    public func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32)
        -> Socket.SocketResult
    {
        self.sockets[descriptor]?.write(bytes) ?? .failed(ECONNRESET)
    }

    public func shutdownWriting(_ descriptor: Int32) { self.sockets[descriptor]?.endOutput() }

    public func close(_ descriptor: Int32) {
        self.sockets.removeValue(forKey: descriptor)?.close()
    }

    public func localAddress(of descriptor: Int32) -> SocketAddress? {
        self.sockets[descriptor]?.localAddress
    }

    public func peerAddress(of descriptor: Int32) -> SocketAddress? {
        self.sockets[descriptor]?.peerAddress
    }

    public func readiness(of descriptor: Int32) -> SocketReadiness {
        self.sockets[descriptor]?.readiness ?? []
    }
}

/// The loops of a machine, as a process.
public final class SimulatedLoops: SimulatedProcess {
    private unowned let host: SimulatedHost

    public init(on host: SimulatedHost) {
        self.host = host
    }

    public func run() -> Int64? {
        let loops = self.host.loops
        var next: Int64?
        for loop in loops {
            // A turn takes time.
            let pause: Int64? =
                switch loop.runTurn() {
                case true?: loop.nextTick.nanoseconds - MonotonicTime.exact.nanoseconds
                case false?: 5_000
                case nil: nil
                }
            if let pause { next = min(next ?? pause, pause) }
        }
        return loops.contains(where: \.isWoken) ? 5_000 : next
    }
}
