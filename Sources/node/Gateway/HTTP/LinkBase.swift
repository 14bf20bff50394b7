import Bytes
import Configuration
import EventLoop

/// Computes the base of links: the public URL, or the address of the request.
///
/// A client can send any `Host`, so a link to it could lead readers to a foreign server. The host
/// is therefore used only if it is the node's own, or if it comes from a trusted proxy. Otherwise
/// links use the node's own address.
struct LinkBase: Sendable {
    let publicURL: PublicURL?
    /// The host of `--listen`.
    let listenHost: String
    /// The machine's own name.
    var hostname = ProcessContext.hostname

    /// The base of a link, such as `https://chat.example`, without a trailing slash.
    ///
    /// - Parameters:
    ///   - host: the server's name in the request, with or without a port.
    ///   - isForwarded: whether a trusted proxy forwarded the request.
    ///   - isSecure: whether the client used TLS, to this node or to a trusted proxy.
    ///   - isTLS: whether this node's connection uses TLS.
    ///   - local: this end of the connection.
    func url(host: String?, isForwarded: Bool, isSecure: Bool, isTLS: Bool, local: SocketAddress?)
        -> String
    {
        if let publicURL { return publicURL.description }
        if let host, !host.isEmpty, isForwarded || self.isOwn(host, isTLS: isTLS, local) {
            return "\(isSecure ? "https" : "http")://\(host)"
        }
        let scheme = isTLS ? "https" : "http"
        guard let local else { return "\(scheme)://\(self.listenHost)" }
        let isWildcard =
            IPAddress(self.listenHost).map { $0 == IPAddress("0.0.0.0") || $0 == IPAddress("::") }
            ?? false
        let isLiteral = IPAddress(self.listenHost) != nil
        if isWildcard || isLiteral { return "\(scheme)://\(local.text)" }
        return "\(scheme)://\(self.listenHost):\(local.port)"
    }

    /// Whether the authority is this node's name and port. A loopback name matches with any port,
    /// because a tunnel or the host of a container may map the port.
    private func isOwn(_ authority: String, isTLS: Bool, _ local: SocketAddress?) -> Bool {
        let standardPort: UInt16 = isTLS ? 443 : 80
        let parts = HostPort(atLastColonOf: authority.lowercased()[...])
        let name = parts.host
        let port = parts.portText == nil ? standardPort : parts.port
        let address = IPAddress(name)
        if name == "localhost" || address?.isLoopback == true { return true }
        guard let local, port == local.port else { return false }
        if let address { return address == local.ip }
        return name == self.listenHost.lowercased() || name == self.hostname.lowercased()
    }
}
