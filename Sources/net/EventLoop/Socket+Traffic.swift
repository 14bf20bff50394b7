import Glibc

/// The bytes of a TCP connection, as the kernel counts them.
public struct SocketTraffic: Sendable, Equatable {
    /// The bytes that the peer has acknowledged, and those received from it. Both include TLS and
    /// HTTP.
    public let acknowledgedBytes: UInt64
    public let receivedBytes: UInt64
}

extension Socket {
    /// Nil if the descriptor is no TCP socket.
    ///
    /// The kernel counts anyway, so that a message costs nothing here. glibc's `tcp_info` ends
    /// before these fields; the offsets are those of `struct tcp_info` in `linux/tcp.h`, which only
    /// grows at its end.
    public var traffic: SocketTraffic? {
        let (acknowledgedOffset, receivedOffset) = (120, 128)
        return withUnsafeTemporaryAllocation(byteCount: 136, alignment: 8) { info in
            var length = socklen_t(info.count)
            guard
                getsockopt(
                    self.descriptor, Int32(IPPROTO_TCP), TCP_INFO, info.baseAddress, &length) == 0,
                length == info.count
            else { return nil }
            return SocketTraffic(
                acknowledgedBytes: info.load(
                    fromByteOffset: acknowledgedOffset, as: UInt64.self),
                receivedBytes: info.load(fromByteOffset: receivedOffset, as: UInt64.self))
        }
    }
}
