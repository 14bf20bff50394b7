public import EventLoop
internal import Glibc

/// A socket that connects to a server, with or without TLS.
///
/// The caller watches and closes the socket. TLS may have to write in order to read. So the caller
/// watches the socket for reading always, and for writing while it has data to write or
/// `wantsWrite` is true.
public struct OutgoingTransport {
    /// The result of a read or write.
    public enum TransportResult: Equatable {
        /// The number of bytes transferred, at least one.
        case bytes(Int)
        case wouldBlock
        /// The peer has ended its side of the stream.
        case endOfStream
        case failed(TransportFailure)
    }

    /// The reason why the transport is unusable.
    public enum TransportFailure: Equatable, CustomStringConvertible {
        /// `reason` is the kernel's message.
        case broken(reason: String)
        case tls(TLSError)

        public var description: String {
            switch self {
            case .broken(let reason): reason
            case .tls(let error): error.description
            }
        }
    }

    public let socket: Socket
    private let tls: TLSConnection?
    /// Whether the last call must wait until the socket is writable.
    public private(set) var wantsWrite = false

    /// Uses a socket without TLS.
    public init(_ socket: Socket) {
        self.socket = socket
        self.tls = nil
    }

    /// Uses TLS on a socket. The server's certificate must be valid for `serverName`.
    public init(_ socket: Socket, to serverName: String, _ context: TLSContext) throws(TLSError) {
        self.socket = socket
        self.tls = try TLSConnection(connecting: socket.descriptor, to: serverName, context)
    }

    /// Whether the caller must read until `wouldBlock`: data that TLS has already read from the
    /// socket does not wake the loop.
    public var readsMustDrain: Bool { self.tls != nil }

    /// Continues the TLS handshake and returns whether it is complete.
    public mutating func handshake() throws(TLSError) -> Bool {
        guard let tls = self.tls else { return true }
        let progress = tls.handshake()
        self.wantsWrite = progress == .wantWrite
        switch progress {
        case .done: return true
        case .wantRead, .wantWrite: return false
        case .failed(let error): throw error
        }
    }

    /// Reads the available bytes, up to the buffer's size, which must not be 0.
    @inline(__always)
    public mutating func read(into buffer: UnsafeMutableRawBufferPointer) -> TransportResult {
        if let tls = self.tls { return self.translated(tls.read(into: buffer)) }
        return Self.translated(self.socket.read(into: buffer))
    }

    /// Writes at least one byte. After `wouldBlock`, pass the same bytes again. More may follow
    /// them.
    @inline(__always)
    public mutating func write(_ bytes: UnsafeRawBufferPointer) -> TransportResult {
        if let tls = self.tls { return self.translated(tls.write(bytes)) }
        return Self.translated(self.socket.write(bytes))
    }

    /// Ends the outgoing side of the stream.
    public func shutdownWriting() {
        self.tls?.close()
        self.socket.shutdownWriting()
    }

    private static func translated(_ transfer: Socket.SocketResult) -> TransportResult {
        switch transfer {
        case .bytes(let count): .bytes(count)
        case .wouldBlock: .wouldBlock
        case .endOfStream: .endOfStream
        case .failed(let code): .failed(.broken(reason: String(cString: strerror(code))))
        }
    }

    private mutating func translated(_ result: TLSResult) -> TransportResult {
        self.wantsWrite = result == .wantWrite
        switch result {
        case .bytes(let count): return .bytes(count)
        case .wantRead, .wantWrite: return .wouldBlock
        case .endOfStream: return .endOfStream
        case .failed(let error): return .failed(.tls(error))
        }
    }
}
