public import EventLoop
internal import Glibc

/// A socket that connects to a server, with or without TLS over it.
///
/// The socket stays its opener's to watch and to close. What for to watch it depends on both directions, for TLS may have to write
/// in order to read; so the owner watches it for reading, and for writing while it has something to write or `wantsWrite` is set.
public struct OutgoingTransport {
    /// What became of a read or write.
    public enum TransportResult: Equatable {
        /// So many bytes went over, at least one.
        case bytes(Int)
        case wouldBlock
        /// The other side sends no more.
        case endOfStream
        case failed(TransportFailure)
    }

    /// Why nothing goes over any more.
    public enum TransportFailure: Equatable {
        /// In the kernel's words.
        case broken(reason: String)
        case tls(TLSError)
    }

    public let socket: Socket
    private let tls: TLSConnection?
    /// Whether the last call could not go on before the socket takes bytes.
    public private(set) var wantsWrite = false

    /// A socket that is used as it is.
    public init(_ socket: Socket) {
        self.socket = socket
        self.tls = nil
    }

    /// TLS over a socket. The server's certificate must be for `serverName`.
    public init(_ socket: Socket, to serverName: String, _ context: TLSContext) throws(TLSError) {
        self.socket = socket
        self.tls = try TLSConnection(connecting: socket.descriptor, to: serverName, context)
    }

    /// Whether reads must go on until they would block: what TLS has taken from the socket wakes no loop.
    public var readsMustDrain: Bool { self.tls != nil }

    /// Goes on with the TLS handshake; answers whether it is done.
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

    /// Takes what has arrived, up to the buffer's size, which must not be 0.
    @inline(__always)
    public mutating func read(into buffer: UnsafeMutableRawBufferPointer) -> TransportResult {
        if let tls = self.tls { return self.translated(tls.read(into: buffer)) }
        return Self.translated(self.socket.read(into: buffer))
    }

    /// Gives bytes, at least one, to the socket. After `wouldBlock` the same bytes must come again, more may follow them.
    @inline(__always)
    public mutating func write(_ bytes: UnsafeRawBufferPointer) -> TransportResult {
        if let tls = self.tls { return self.translated(tls.write(bytes)) }
        return Self.translated(self.socket.write(bytes))
    }

    /// Says to the other side that nothing more comes.
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
