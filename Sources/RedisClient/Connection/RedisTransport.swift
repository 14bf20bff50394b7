internal import EventLoop
internal import Glibc
internal import TLS

/// A connected socket, with or without TLS over it.
///
/// The socket stays the loop's to watch and to close. TLS may have to write in order to read, so it is watched for writing while there
/// is something to write or `wantsWrite` is set.
struct RedisTransport {
    enum Transfer: Equatable {
        /// So many bytes went over, at least one.
        case moved(Int)
        case wouldBlock
        case failed(RedisOutage)
    }

    let socket: Socket
    private let tls: TLSConnection?
    /// Whether the last call could not go on before the socket takes bytes.
    private(set) var wantsWrite = false

    init(_ socket: Socket) {
        self.socket = socket
        self.tls = nil
    }

    /// The server's certificate must be for `host`.
    init(_ socket: Socket, to host: String, _ context: TLSContext) throws(TLSError) {
        self.socket = socket
        self.tls = try TLSConnection(connecting: socket.descriptor, to: host, context)
    }

    /// Whether reads must go on until they would block: what TLS has taken from the socket wakes no loop.
    var readsMustDrain: Bool { self.tls != nil }

    /// Goes on with the TLS handshake; answers whether it is done.
    mutating func handshake() throws(TLSError) -> Bool {
        guard let tls = self.tls else { return true }
        let progress = tls.handshake()
        self.wantsWrite = progress == .wantWrite
        switch progress {
        case .done: return true
        case .wantRead, .wantWrite: return false
        case .failed(let error): throw error
        }
    }

    @inline(__always)
    mutating func read(into buffer: UnsafeMutableRawBufferPointer) -> Transfer {
        if let tls = self.tls { return self.translated(tls.read(into: buffer)) }
        return Self.translated(self.socket.read(into: buffer))
    }

    /// After `wouldBlock` the same bytes must come again, more may follow them.
    @inline(__always)
    mutating func write(_ bytes: UnsafeRawBufferPointer) -> Transfer {
        if let tls = self.tls { return self.translated(tls.write(bytes)) }
        return Self.translated(self.socket.write(bytes))
    }

    private static func translated(_ transfer: Socket.Transfer) -> Transfer {
        switch transfer {
        case .moved(let count): .moved(count)
        case .wouldBlock: .wouldBlock
        case .ended: .failed(.ended)
        case .failed(let code): .failed(.broken(reason: String(cString: strerror(code))))
        }
    }

    private mutating func translated(_ result: TLSResult) -> Transfer {
        self.wantsWrite = result == .wantWrite
        switch result {
        case .bytes(let count): return .moved(count)
        case .wantRead, .wantWrite: return .wouldBlock
        case .closed: return .failed(.ended)
        case .failed(let error): return .failed(.tls(error))
        }
    }
}
