public import Glibc

/// The calls on a non-blocking stream socket. A name for a descriptor, not its owner: whoever opened it closes it, or the loop does.
public struct Socket: Sendable, Hashable {
    public let descriptor: Int32

    public init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// What became of a read or write.
    public enum SocketResult: Equatable, Sendable {
        /// So many bytes went over, at least one.
        case bytes(Int)
        /// The kernel has nothing, or no room: wait for the socket to be ready.
        case wouldBlock
        /// The peer sends no more.
        case endOfStream
        /// The connection is gone; with the `errno`.
        case failed(Int32)
    }

    /// Takes what has arrived, up to the buffer's size, which must not be 0.
    @inline(__always)
    public func read(into buffer: UnsafeMutableRawBufferPointer) -> SocketResult {
        while true {
            let count = recv(self.descriptor, buffer.baseAddress, buffer.count, 0)
            if count > 0 { return .bytes(count) }
            if count == 0 { return .endOfStream }
            if errno != EINTR { return self.errnoResult }
        }
    }

    /// Gives bytes to the kernel, as many as it takes. A dead peer is an error, never a signal.
    @inline(__always)
    public func write(_ bytes: UnsafeRawBufferPointer) -> SocketResult {
        while true {
            let count = send(self.descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
            if count >= 0 { return .bytes(count) }
            if errno != EINTR { return self.errnoResult }
        }
    }

    /// As `write`, from several places (at most 1,024) in one call.
    @inline(__always)
    public func write(_ vectors: UnsafeMutableBufferPointer<iovec>) -> SocketResult {
        // Not writev, which cannot be told to raise no SIGPIPE.
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

    /// Says to the peer that nothing more comes, after what was written; reading goes on.
    public func shutdownWriting() {
        _ = shutdown(self.descriptor, Int32(SHUT_WR))
    }

    /// Closes the descriptor. Only for one that no loop watches: there, `EventLoop.close(_:)` does it.
    public func close() {
        _ = Glibc.close(self.descriptor)
    }

    /// This end's address; nil when the socket has none.
    public var localAddress: SocketAddress? {
        SocketAddress { _ = getsockname(self.descriptor, $0, $1) }
    }

    /// The other end's address; nil when there is none.
    public var peerAddress: SocketAddress? {
        SocketAddress { _ = getpeername(self.descriptor, $0, $1) }
    }
}

extension Socket {
    /// Sends small writes at once instead of waiting for the last one's acknowledgement (TCP_NODELAY).
    public func setNoDelay() {
        self.set(Int32(IPPROTO_TCP), TCP_NODELAY, to: 1)
    }

    /// Calls a socket writable only while fewer than `bytes` of what it took are unsent (TCP_NOTSENT_LOWAT).
    ///
    /// Else the kernel takes 4 MB per stalled reader before any limit of ours begins to count.
    public func setUnsentLowWater(bytes: Int32 = 131_072) {
        self.set(Int32(IPPROTO_TCP), TCP_NOTSENT_LOWAT, to: bytes)
    }

    @discardableResult
    func set(_ level: Int32, _ option: Int32, to value: Int32) -> Bool {
        var value = value
        return setsockopt(
            self.descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0
    }

    /// A new non-blocking TCP socket that no child process inherits.
    static func open(_ address: SocketAddress) throws(SocketError) -> Socket {
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = Glibc.socket(address.systemFamily, kind, 0)
        guard descriptor >= 0 else { throw SocketError(call: "socket", errno: errno) }
        return Socket(descriptor: descriptor)
    }
}

extension Socket {
    /// Begins to connect. The socket is ready for writing when that is decided; `connectError` then says how.
    public static func connect(to address: SocketAddress) throws(SocketError) -> Socket {
        let socket = try Socket.open(address)
        let result = address.withSystemAddress { Glibc.connect(socket.descriptor, $0, $1) }
        guard result != 0, errno != EINPROGRESS, errno != EINTR else { return socket }
        let code = errno
        socket.close()
        throw SocketError(call: "connect", errno: code)
    }

    /// Why connecting failed; nil when it did not. Reading it takes the error off the socket.
    public var connectError: SocketError? {
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(self.descriptor, SOL_SOCKET, SO_ERROR, &code, &length) == 0 else {
            return SocketError(call: "getsockopt", errno: errno)
        }
        return code == 0 ? nil : SocketError(call: "connect", errno: code)
    }
}
