import EventLoop
import Glibc
import SeededRandom

/// One end of a simulated connection, or a listening socket.
final class SimulatedSocket {
    enum SocketPhase { case idle, listening, connecting, connected, closed }

    unowned let host: SimulatedHost
    let descriptor: Int32
    var state = SocketPhase.idle
    var localAddress: SocketAddress?
    var peerAddress: SocketAddress?
    /// The other end; nil once its process has dropped it.
    weak var peer: SimulatedSocket?
    weak var peerHost: SimulatedHost?
    /// Connections that wait for `accept`.
    var backlog: [SimulatedSocket] = []

    private var input: [UInt8] = []
    private var inputStart = 0
    private(set) var hasInputEnded = false
    private(set) var hasOutputEnded = false
    var error: Int32 = 0
    /// The bytes written here that the peer has not read.
    private var unreadByPeer = 0

    // For the network.
    var lastArrival: Int64 = 0
    var held: [SimulatedSegment] = []
    var isForgotten = false

    /// The number of bytes that the two kernels buffer together.
    static let bufferBytes = 256 << 10

    init(_ host: SimulatedHost, _ descriptor: Int32) {
        self.host = host
        self.descriptor = descriptor
    }

    // MARK: Calls

    func read(into buffer: UnsafeMutableRawBufferPointer) -> Socket.SocketResult {
        let count = min(buffer.count, self.input.count - self.inputStart)
        if count > 0 {
            self.input.withUnsafeBytes {
                buffer.copyMemory(
                    from: UnsafeRawBufferPointer(
                        rebasing: $0[self.inputStart..<self.inputStart + count]))
            }
            self.inputStart += count
            if self.inputStart == self.input.count {
                self.input.removeAll(keepingCapacity: true)
                self.inputStart = 0
            }
            self.peer?.peerHasRead(count)
            return .bytes(count)
        }
        if let error = self.takeError() { return .failed(error) }
        if self.hasInputEnded || self.state == .closed { return .endOfStream }
        return .wouldBlock
    }

    func write(_ bytes: UnsafeRawBufferPointer) -> Socket.SocketResult {
        if let error = self.takeError() { return .failed(error) }
        guard self.state == .connected, !self.hasOutputEnded else {
            return self.state == .connecting ? .wouldBlock : .failed(EPIPE)
        }
        let count = min(bytes.count, Self.bufferBytes - self.unreadByPeer)
        guard count > 0 else { return .wouldBlock }
        self.unreadByPeer += count
        let network = self.host.network
        var sent = Array(bytes[..<count])
        // The network may split what was written at once.
        if count > 1, network.random.happens(perMille: 20) {
            let first = network.random.number(1...count - 1)
            network.transmit(.data(Array(sent[..<first])), from: self)
            sent = Array(sent[first...])
        }
        network.transmit(.data(sent), from: self)
        return .bytes(count)
    }

    func endOutput() {
        guard self.state == .connected, !self.hasOutputEnded else { return }
        self.hasOutputEnded = true
        self.host.network.transmit(.end, from: self)
    }

    func close() {
        let wasConnected = self.state == .connected
        if wasConnected {
            if self.inputStart < self.input.count {
                self.host.network.transmit(.reset, from: self)
            } else {
                self.endOutput()
            }
        }
        for waiting in self.backlog { waiting.close() }
        self.backlog = []
        self.state = .closed
    }

    /// The machine has lost its power: nothing is sent.
    func vanish() {
        self.state = .closed
        self.backlog = []
    }

    func takeError() -> Int32? {
        guard self.error != 0 else { return nil }
        defer { self.error = 0 }
        return self.error
    }

    var readiness: SocketReadiness {
        var readiness = SocketReadiness()
        switch self.state {
        case .listening: if !self.backlog.isEmpty { readiness.insert(.readable) }
        case .connected:
            if self.inputStart < self.input.count { readiness.insert(.readable) }
            if self.hasInputEnded { readiness.formUnion([.readable, .peerClosed]) }
            if self.unreadByPeer < Self.bufferBytes / 2 { readiness.insert(.writable) }
        case .idle, .connecting: break
        case .closed: readiness = [.readable, .writable]
        }
        if self.error != 0 { readiness.insert(.failed) }
        return readiness
    }

    // MARK: The network

    func receive(_ segment: SimulatedSegment) {
        switch segment {
        case .accepted: self.state = .connected
        case .data(let bytes): self.input += bytes
        case .end: self.hasInputEnded = true
        case .reset: return self.receiveReset()
        }
        self.host.socketChanged()
    }

    func receiveReset() {
        guard self.state == .connected || self.state == .connecting else { return }
        self.fail(self.state == .connecting ? ECONNREFUSED : ECONNRESET)
    }

    /// The attempt or the connection has failed.
    func fail(_ code: Int32) {
        self.error = code
        self.state = .closed
        self.input = []
        self.inputStart = 0
        self.host.socketChanged()
    }

    private func peerHasRead(_ count: Int) {
        let wasFull = self.unreadByPeer >= Self.bufferBytes / 2
        self.unreadByPeer -= count
        if wasFull, self.unreadByPeer < Self.bufferBytes / 2 { self.host.socketChanged() }
    }
}
