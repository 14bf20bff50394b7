import Bytes
import Configuration
import EventLoop
import HTTPWire

/// Finds out how the client reached the service: trusted proxies report what they changed.
extension HTTPServer {
    /// Whether pages of the request's origin may connect.
    func isAllowedOrigin(_ connection: Connection, _ span: RawSpan) -> Bool {
        self.context.live.origins.allows(
            self.head.fields.text("origin", in: span), host: self.requestedHost(connection, span),
            isSecure: self.isSecure(connection, span))
    }

    /// Whether the client used TLS. A trusted proxy reports that; of several proxies the first one
    /// counts.
    func isSecure(_ connection: Connection, _ span: RawSpan) -> Bool {
        let isTLS = connection.tls != nil
        guard self.isTrusted(connection.peer.ip),
            let scheme = self.firstForwarded("x-forwarded-proto", span)
        else {
            return isTLS
        }
        switch scheme.lowercased() {
        case "https", "wss": return true
        case "http", "ws": return false
        default: return isTLS
        }
    }

    /// The host that the client requested. A trusted proxy reports it, because it may use another
    /// name for the node.
    func requestedHost(_ connection: Connection, _ span: RawSpan) -> String? {
        if self.isTrusted(connection.peer.ip),
            let host = self.firstForwarded("x-forwarded-host", span),
            host.utf8.allSatisfy({ $0.isHostLetter })
        {
            return host
        }
        return self.head.authority.map { String(span, $0) }
    }

    /// The reason to refuse a request for a name that is not the node's; nil if there is none.
    ///
    /// It compares the client's own `Host`, which no page can choose. Probes are answered under any
    /// name, because load balancers invent one. So are requests for nothing.
    mutating func hostError(
        _ connection: Connection, _ route: Route, _ span: RawSpan
    ) -> HTTPError? {
        guard connection.isClient else { return nil }
        switch route.target {
        case .notFound: return nil
        case .handler where route.isProbe: return nil
        case .upgrade, .echo:
            guard WebSocketUpgrade.isRequested(by: self.head, in: span) else { return nil }
        case .handler, .engine: break
        }
        guard let authority = self.head.authority else { return nil }
        let bytes = span.extracting(authority)
        guard !bytes.withUnsafeBytes({ $0.elementsEqual(self.allowedHost) }) else { return nil }
        let (host, hosts) = (String(span, authority), self.context.live.hosts)
        if hosts.allows(host) {
            self.allowedHost = bytes.withUnsafeBytes { Array($0) }
            return nil
        }
        let isAllowed = hosts.allows(
            host, from: connection.peer.ip, isForwarded: self.hasForwardedFields(span))
        return isAllowed ? nil : .foreignHost(host)
    }

    private func hasForwardedFields(_ span: RawSpan) -> Bool {
        let fields = self.head.fields
        return fields.first("x-forwarded-for", in: span) != nil
            || fields.first("x-forwarded-proto", in: span) != nil
            || fields.first("x-forwarded-host", in: span) != nil
            || fields.first("forwarded", in: span) != nil
    }

    /// The base of links in the response.
    func linkBase(_ connection: Connection, _ span: RawSpan) -> String {
        let isForwarded =
            self.isTrusted(connection.peer.ip) && self.hasForwardedFields(span)
        return self.context.shared.linkBase.url(
            host: self.requestedHost(connection, span), isForwarded: isForwarded,
            isSecure: self.isSecure(connection, span),
            isTLS: connection.tls != nil,
            local: self.pool.socket(of: connection).localAddress)
    }

    /// The first value of a field that proxies append to; nil if there is none.
    private func firstForwarded(_ name: StaticString, _ span: RawSpan) -> String? {
        guard let list = self.head.fields.joined(name, in: span) else { return nil }
        let first = list.prefix { $0 != "," }.drop { $0 == " " || $0 == "\t" }
        guard let last = first.lastIndex(where: { $0 != " " && $0 != "\t" }) else { return nil }
        return String(first[...last])
    }

    private func isTrusted(_ address: IPAddress) -> Bool {
        self.context.settings.isTrustedProxy(address)
    }

    /// The address of the client of the present request.
    func clientAddress(_ connection: Connection) -> SocketAddress {
        guard case .http(let exchange) = connection.phase else { return connection.peer }
        return exchange.requestInfo?.forwardedAddress ?? connection.peer
    }

    /// Whether no other machine can have sent the request: only this one reaches the listener, and
    /// no trusted proxy reports a client elsewhere.
    func isFromThisMachine(_ connection: Connection) -> Bool {
        self.context.settings.isLoopback && self.clientAddress(connection).ip.isLoopback
    }

    /// The client's address, as trusted proxies report it. Each proxy appends the address of its
    /// peer to `X-Forwarded-For`, so the list is read from its end, up to the first address that is
    /// not a trusted proxy. Nil if the connection's peer is none.
    func forwardedAddress(_ connection: Connection, _ span: RawSpan) -> SocketAddress? {
        var address = connection.peer
        guard self.isTrusted(address.ip),
            let list = self.head.fields.joined("x-forwarded-for", in: span)
        else { return nil }
        for item in list.split(separator: ",", omittingEmptySubsequences: false).reversed() {
            guard self.isTrusted(address.ip), let next = SocketAddress(forwarded: item) else {
                return address
            }
            address = next
        }
        return address
    }
}

extension SocketAddress {
    /// Parses an address from a proxy, with or without a port, and discards the port. Nil for a
    /// name such as `unknown`.
    init?(forwarded text: Substring) {
        var host = text.drop { $0 == " " || $0 == "\t" }
        while let last = host.last, last == " " || last == "\t" { host.removeLast() }
        guard let parts = HostPort(host) else { return nil }
        // An IPv6 address without brackets has no port.
        self.init(literal: String(parts.isAmbiguous ? host : parts.host), port: 0)
    }
}

extension UInt8 {
    /// Whether browsers write this byte in a host with a port: names, IPv4, and IPv6 in brackets.
    fileprivate var isHostLetter: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: ":"),
            UInt8(ascii: "["), UInt8(ascii: "]"):
            true
        default: false
        }
    }
}
