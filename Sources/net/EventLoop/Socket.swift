public import Glibc

/// Calls on a non-blocking stream socket.
///
/// The value refers to a descriptor and does not own it. The code that opened it, or the loop that
/// watches it, closes it.
public struct Socket: Sendable, Hashable {
    public let descriptor: Int32

    public init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// The result of a read or write.
    public enum SocketResult: Equatable, Sendable {
        /// The number of bytes transferred, at least one.
        case bytes(Int)
        /// The kernel has no data or no buffer space: wait until the socket is ready.
        case wouldBlock
        /// The peer has ended its side of the stream.
        case endOfStream
        /// The connection is lost. The value is the `errno`.
        case failed(Int32)
    }

    /// Reads the available bytes, up to the buffer's size, which must not be 0.
    @inline(__always)
    public func read(into buffer: UnsafeMutableRawBufferPointer) -> SocketResult {
        if self.isSimulated { return self.port.read(self.descriptor, into: buffer) }
        while true {
            let count = recv(self.descriptor, buffer.baseAddress, buffer.count, 0)
            if count > 0 { return .bytes(count) }
            if count == 0 { return .endOfStream }
            if errno != EINTR { return self.errnoResult }
        }
    }

    /// Writes as many bytes as the kernel accepts. A closed connection returns an error and raises
    /// no signal.
    @inline(__always)
    public func write(_ bytes: UnsafeRawBufferPointer) -> SocketResult {
        if self.isSimulated { return self.port.write(bytes, to: self.descriptor) }
        while true {
            let count = send(self.descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
            if count >= 0 { return .bytes(count) }
            if errno != EINTR { return self.errnoResult }
        }
    }

    /// Writes from several buffers (at most 1,024) in one call. Otherwise the same as `write`.
    @inline(__always)
    public func write(_ vectors: UnsafeMutableBufferPointer<iovec>) -> SocketResult {
        if self.isSimulated { return self.simulatedWrite(vectors) }
        // Not writev: it has no flag to suppress SIGPIPE.
        var message = msghdr()
        message.msg_iov = vectors.baseAddress
        message.msg_iovlen = vectors.count
        while true {
            let count = sendmsg(self.descriptor, &message, Int32(MSG_NOSIGNAL))
            if count >= 0 { return .bytes(count) }
            if errno != EINTR { return self.errnoResult }
        }
    }

    private var errnoResult: SocketResult {
        errno == EAGAIN || errno == EWOULDBLOCK ? .wouldBlock : .failed(errno)
    }

    /// Ends the outgoing side of the stream, after everything that was written. Reading remains
    /// possible.
    public func shutdownWriting() {
        if self.isSimulated { return self.port.shutdownWriting(self.descriptor) }
        _ = shutdown(self.descriptor, Int32(SHUT_WR))
    }

    /// Closes the descriptor. If a loop watches it, call `EventLoop.close(_:)` instead.
    public func close() {
        if self.isSimulated { return self.port.close(self.descriptor) }
        _ = Glibc.close(self.descriptor)
    }

    /// The local address, or nil if the socket has none.
    public var localAddress: SocketAddress? {
        if self.isSimulated { return self.port.localAddress(of: self.descriptor) }
        return SocketAddress { _ = getsockname(self.descriptor, $0, $1) }
    }

    /// The peer's address, or nil if the socket has none.
    public var peerAddress: SocketAddress? {
        if self.isSimulated { return self.port.peerAddress(of: self.descriptor) }
        return SocketAddress { _ = getpeername(self.descriptor, $0, $1) }
    }
}

extension Socket {
    /// Sends small writes at once instead of waiting for the acknowledgement of the previous one
    /// (TCP_NODELAY).
    public func setNoDelay() {
        self.set(Int32(IPPROTO_TCP), TCP_NODELAY, to: 1)
    }

    /// Reports the socket as writable only while fewer than `bytes` of the written data are unsent
    /// (TCP_NOTSENT_LOWAT).
    ///
    /// Otherwise the kernel buffers up to 4 MB per stalled reader before our own limits have an
    /// effect.
    public func setUnsentLowWater(bytes: Int32 = 131_072) {
        self.set(Int32(IPPROTO_TCP), TCP_NOTSENT_LOWAT, to: bytes)
    }

    @discardableResult
    func set(_ level: Int32, _ option: Int32, to value: Int32) -> Bool {
        if self.isSimulated { return false }
        var value = value
        return setsockopt(
            self.descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0
    }

    /// Opens a non-blocking TCP socket that child processes do not inherit.
    static func open(_ address: SocketAddress) throws(SocketError) -> Socket {
        if let machine = SimulatedMachine.current {
            return Socket(descriptor: machine.sockets.open())
        }
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = Glibc.socket(address.systemFamily, kind, 0)
        guard descriptor >= 0 else { throw SocketError(call: "socket", errno: errno) }
        return Socket(descriptor: descriptor)
    }
}

extension Socket {
    /// Begins to connect. The socket becomes writable when the attempt has ended. `connectError`
    /// then returns the result.
    public static func connect(to address: SocketAddress) throws(SocketError) -> Socket {
        let socket = try Socket.open(address)
        let code = socket.beginConnecting(to: address)
        guard code != 0, code != EINPROGRESS, code != EINTR else { return socket }
        socket.close()
        throw SocketError(call: "connect", errno: code)
    }

    /// Returns 0 or the `errno`.
    private func beginConnecting(to address: SocketAddress) -> Int32 {
        if self.isSimulated { return self.port.connect(self.descriptor, to: address) }
        let result = address.withSystemAddress { Glibc.connect(self.descriptor, $0, $1) }
        return result == 0 ? 0 : errno
    }

    /// The error of the connection attempt, or nil if it succeeded. Reading it clears the error of
    /// the socket.
    public var connectError: SocketError? {
        var code: Int32 = 0
        if self.isSimulated {
            code = self.port.takeError(of: self.descriptor)
        } else {
            var length = socklen_t(MemoryLayout<Int32>.size)
            guard getsockopt(self.descriptor, SOL_SOCKET, SO_ERROR, &code, &length) == 0 else {
                return SocketError(call: "getsockopt", errno: errno)
            }
        }
        return code == 0 ? nil : SocketError(call: "connect", errno: code)
    }
}
