import Glibc

/// The sockets of a simulated machine.
///
/// `Socket`, `ListeningSocket` and `EventLoop` make system calls themselves, unless a descriptor is
/// a simulated one. So in a real process the port costs one comparison with a constant before each
/// system call, and no indirect call. Each method corresponds to the system call of its name.
public protocol SocketPort: AnyObject {
    /// Opens a stream socket. Returns a descriptor of at least `Socket.firstSimulatedDescriptor`.
    func open() -> Int32
    /// Returns 0 or the `errno`. Any number of sockets may be bound to one address. For port 0, the
    /// machine chooses a port.
    func bind(_ descriptor: Int32, to address: SocketAddress) -> Int32
    /// Returns 0 or the `errno`.
    func listen(_ descriptor: Int32) -> Int32
    /// Returns 0 or the `errno`.
    func connect(_ descriptor: Int32, to address: SocketAddress) -> Int32
    /// The pending error as an `errno`, or 0. Reading it clears it.
    func takeError(of descriptor: Int32) -> Int32
    func accept(_ descriptor: Int32) -> ListeningSocket.AcceptResult
    func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer)
        -> Socket.SocketResult
    func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Socket.SocketResult
    func shutdownWriting(_ descriptor: Int32)
    func close(_ descriptor: Int32)
    func localAddress(of descriptor: Int32) -> SocketAddress?
    func peerAddress(of descriptor: Int32) -> SocketAddress?
    /// The events for which the socket is ready.
    func readiness(of descriptor: Int32) -> SocketReadiness
}

/// The events of a simulated socket.
public struct SocketReadiness: OptionSet, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// There is input, or the peer has ended its side, or a connection waits.
    public static let readable = SocketReadiness(rawValue: 1)
    /// There is space for output, or a connection attempt has ended.
    public static let writable = SocketReadiness(rawValue: 2)
    /// The connection is lost. Both calls return the error.
    public static let failed = SocketReadiness(rawValue: 4)
    /// The peer has ended its side.
    public static let peerClosed = SocketReadiness(rawValue: 8)
}

extension Socket {
    /// The descriptors from this one on are simulated. The kernel assigns the lowest free number,
    /// so it never gets there.
    public static let firstSimulatedDescriptor: Int32 = 1 << 30

    @inline(__always)
    var isSimulated: Bool { self.descriptor >= Self.firstSimulatedDescriptor }

    /// The sockets of the machine that the current thread runs.
    var port: any SocketPort {
        guard let machine = SimulatedMachine.current else {
            preconditionFailure("A simulated socket was used outside of its machine.")
        }
        return machine.sockets
    }

    func simulatedWrite(_ vectors: UnsafeMutableBufferPointer<iovec>) -> SocketResult {
        var count = 0
        for vector in vectors where vector.iov_len > 0 {
            let bytes = UnsafeRawBufferPointer(start: vector.iov_base, count: vector.iov_len)
            let result = self.port.write(bytes, to: self.descriptor)
            guard case .bytes(let written) = result else {
                return count > 0 ? .bytes(count) : result
            }
            count += written
            if written < vector.iov_len { break }
        }
        return .bytes(count)
    }
}
