import EventLoop
import SimulatedNetwork
import Synchronization
import Testing

@Suite("A simulated network")
struct SimulatedNetworkTests {
    private static let second: Int64 = 1_000_000_000

    /// Writes a number every 100 ms over one connection.
    private final class Talker: SimulatedProcess {
        private let socket: Socket
        private var count: UInt8 = 0

        init(to host: SimulatedHost) throws {
            let address = try #require(SocketAddress(literal: host.address, port: 80))
            self.socket = try Socket.connect(to: address)
        }

        func run() -> Int64? {
            withUnsafeBytes(of: self.count) {
                if case .bytes = self.socket.write($0) { self.count += 1 }
            }
            return SimulatedNetworkTests.second / 10
        }
    }

    /// Reads from all connections.
    private final class Listener: SimulatedProcess {
        private let socket: ListeningSocket
        private var connections: [Socket] = []
        var received: [UInt8] = []
        var ends: [Socket.SocketResult] = []

        init(on host: SimulatedHost) throws {
            self.socket = try ListeningSocket.open(host: host.address, port: 80)
        }

        func run() -> Int64? {
            while case .accepted(let socket, _) = self.socket.accept() {
                self.connections.append(socket)
            }
            self.connections.removeAll { socket in
                var buffer = [UInt8](repeating: 0, count: 100)
                while true {
                    switch buffer.withUnsafeMutableBytes({ socket.read(into: $0) }) {
                    case .bytes(let count): self.received += buffer[..<count]
                    case .wouldBlock: return false
                    case let end:
                        self.ends.append(end)
                        return true
                    }
                }
            }
            return nil
        }
    }

    private let network = SimulatedNetwork(seed: 1)
    private let one: SimulatedHost
    private let other: SimulatedHost
    private let listener: Listener

    init() throws {
        self.one = self.network.addHost("one")
        self.other = self.network.addHost("other", driftPPM: 200)
        var listener: Listener?
        let other = self.other
        try other.start {
            let made = try Listener(on: other)
            listener = made
            return made
        }
        self.listener = try #require(listener)
        try self.one.start { try Talker(to: other) }
    }

    private func run(seconds: Int64) {
        self.network.run(until: self.network.now + seconds * Self.second)
    }

    @Test("delivers all bytes in order")
    func delivery() {
        self.run(seconds: 10)
        #expect((95...101).contains(self.listener.received.count))
        #expect(self.listener.received == Array(0..<UInt8(self.listener.received.count)))
        self.network.shutDown()
    }

    @Test(
        "delays the bytes of a blocked direction, and loses none", arguments: [1, 300] as [Int64])
    func blocked(latencyMilliseconds: Int64) {
        // With a long latency, bytes are under way when the link returns.
        let latency = latencyMilliseconds * 1000
        self.network[self.one, self.other].latencyMicroseconds = latency...latency
        self.run(seconds: 1)
        self.network[self.one, self.other].isBlocked = true
        let before = self.listener.received.count
        self.run(seconds: 5)
        #expect(self.listener.received.count <= before + 1)
        self.network[self.one, self.other].isBlocked = false
        self.run(seconds: 4)
        #expect((90...101).contains(self.listener.received.count))
        #expect(self.listener.received == Array(0..<UInt8(self.listener.received.count)))
        self.network.shutDown()
    }

    @Test("loses the bytes of a forgotten connection, and tells neither end")
    func forgotten() {
        self.run(seconds: 1)
        self.network.forget(between: self.one, and: self.other)
        let before = self.listener.received.count
        self.run(seconds: 5)
        #expect(self.listener.received.count == before)
        #expect(self.listener.ends.isEmpty)
        self.network.shutDown()
    }

    @Test("ends the connections of a process that was killed, and not those of a dead machine")
    func ends() {
        self.run(seconds: 1)
        self.one.end(.killed)
        self.run(seconds: 1)
        #expect(self.listener.ends == [.endOfStream])
        self.network.shutDown()
    }

    @Test("resets a connection at both ends")
    func reset() {
        self.run(seconds: 1)
        self.network.reset(between: self.one, and: self.other)
        self.run(seconds: 1)
        #expect(self.listener.ends.count == 1)
        #expect(self.listener.ends.first != .endOfStream)
        self.network.shutDown()
    }

    /// Counts the ticks of its loop.
    private final class Ticker: EventLoopHandler {
        let ticks = Atomic(0)

        func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {}
        func tick(now: MonotonicTime) { self.ticks.wrappingAdd(1, ordering: .relaxed) }
    }

    @Test("runs loops by the clock of their machine, without a thread")
    func loops() throws {
        let host = self.network.addHost("loops", driftPPM: -100_000)
        let ticker = Ticker()
        try host.start {
            let loop = try EventLoop.start(name: "simulated", tickPeriod: .milliseconds(100))
            loop.setHandler(ticker)
            return SimulatedLoops(on: host)
        }
        self.run(seconds: 10)
        let ticks = ticker.ticks.load(ordering: .relaxed)
        #expect((85...95).contains(ticks), "\(ticks)")
        self.network.shutDown()
    }
}
