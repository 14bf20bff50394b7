import Glibc

/// Resolves host names to addresses with the system's resolver.
public enum Resolver {
    /// Whether a host name may contain this byte: the characters of DNS, and the underscore, which
    /// some networks use.
    public static func isHostNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    /// The addresses of a literal or a name, best first. The result is never empty. A name may take
    /// seconds.
    public static func resolveBlocking(host: String, port: UInt16) throws(SocketError)
        -> [SocketAddress]
    {
        if let address = SocketAddress(literal: host, port: port) { return [address] }
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, nil, &hints, &list)
        guard code == 0 else {
            throw .unresolvable(host: host, reason: String(cString: gai_strerror(code)))
        }
        defer { freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var next = list
        while let entry = next {
            if let address = SocketAddress(entry.pointee.ai_addr)?.with(port: port) {
                addresses.append(address)
            }
            next = entry.pointee.ai_next
        }
        guard !addresses.isEmpty else {
            throw .unresolvable(host: host, reason: "it has no IPv4 or IPv6 address")
        }
        return addresses
    }

    /// Resolves without blocking the loop. For a literal, `answer` is called at once, within this
    /// call. A name is looked up on a separate thread, and `answer` is called later on the loop.
    public static func resolve(
        host: String, port: UInt16, on loop: EventLoop,
        then answer: @escaping @Sendable (Result<[SocketAddress], SocketError>) -> Void
    ) {
        if let address = SocketAddress(literal: host, port: port) {
            return answer(.success([address]))
        }
        LoopThread.runDetached(name: "resolver") {
            let found = Result { () throws(SocketError) in
                try Self.resolveBlocking(host: host, port: port)
            }
            loop.execute { answer(found) }
        }
    }
}
