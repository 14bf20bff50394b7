public import EventLoop

/// Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed: addresses and networks.
public struct ProxyList: Sendable {
    private let contains: @Sendable (SocketAddress) -> Bool

    /// - Parameter contains: whether a peer is one of them.
    public init(_ contains: @escaping @Sendable (SocketAddress) -> Bool) {
        self.contains = contains
    }

    public func includes(_ peer: SocketAddress) -> Bool { self.contains(peer) }
}
