public import Bytes
public import Configuration

/// Decides which names of the node a request may have in its `Host`.
///
/// A page of another site can let its own name resolve to the node's address (DNS rebinding). Its
/// requests then have the page's name as `Host`, and count as requests of the node's own pages.
/// Where a request needs no token, only this check stops them. An address needs no check, because
/// rebinding needs a name.
public struct HostPolicy: Sendable, Equatable {
    /// Without ports, in lower case; nil if any name will do.
    private let names: Set<String>?
    /// The proxies whose forwarded requests may have any name.
    private let proxies: [IPNetwork]

    public static let any = HostPolicy(names: nil, proxies: [])

    private init(names: Set<String>?, proxies: [IPNetwork]) {
        self.names = names
        self.proxies = proxies
    }

    /// - Parameters:
    ///   - names: the names of the node, without ports.
    ///   - publicURL: where clients reach the service.
    ///   - proxies: the proxies that the operator has named. Those that are trusted by default are
    ///     not among them: a page in a browser of this machine can send every field that a proxy
    ///     sends, from the same address.
    public init(names: [String], publicURL: PublicURL? = nil, reportedBy proxies: [IPNetwork] = [])
    {
        var names = Set(names.map { Self.name($0[...]) })
        if let publicURL { names.insert(Self.name(publicURL.host)) }
        self.init(names: names, proxies: proxies)
    }

    /// - Parameters:
    ///   - host: the request's own `Host`, with or without a port. Browsers always send one.
    ///   - peer: the address that sent the request to the node.
    ///   - isForwarded: whether the request has fields of a proxy.
    func allows(
        _ host: String?, from peer: IPAddress, isForwarded: @autoclosure () -> Bool
    ) -> Bool {
        self.allows(host) || self.proxies.contains { $0.contains(peer) } && isForwarded()
    }

    /// Whether requests from any address may have this `Host`.
    func allows(_ host: String?) -> Bool {
        guard let names, let host, !host.isEmpty else { return true }
        guard let parts = HostPort(host[...]) else { return false }
        if parts.isBracketed { return IPAddress(parts.host) != nil }
        let name = Self.name(parts.host)
        return name == "localhost" || name.hasSuffix(".localhost") || names.contains(name)
            || IPAddress(name) != nil
    }

    /// A name in lower case, without the dot of a complete name.
    private static func name(_ text: Substring) -> String {
        (text.last == "." ? text.dropLast() : text).lowercased()
    }
}
