import Bytes
import Configuration
import EventLoop
import Glibc

/// Where links lead: to the public URL, or to where the request came.
///
/// A request names its host itself, and its sender can name any: a link to that would lead its readers to somebody else's server. So the
/// name counts only if it is the node's own, or if it comes from a proxy that is believed. Else links lead to the node's own address.
struct LinkBase: Sendable {
    let publicURL: PublicURL?
    /// As `--listen` has it.
    let listenHost: String
    /// What the machine calls itself.
    var hostname = Self.systemHostname()

    /// What a link's path follows: `https://chat.example`, without a slash at the end.
    ///
    /// - Parameters:
    ///   - host: what the request calls the server, with or without a port.
    ///   - isForwarded: whether a proxy that is believed passed the request on.
    ///   - isSecure: whether the client came by TLS, here or at a proxy that is believed.
    ///   - isTLS: whether it came here by TLS.
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
        let isAnywhere =
            IPAddress(self.listenHost).map { $0 == IPAddress("0.0.0.0") || $0 == IPAddress("::") }
            ?? false
        let isLiteral = IPAddress(self.listenHost) != nil
        return
            "\(scheme)://\(isAnywhere || isLiteral ? local.text : "\(self.listenHost):\(local.port)")"
    }

    /// Whether the name is this node's, at its port. The names of loopback are at any port, for a tunnel or a container's host may have
    /// given it another one.
    private func isOwn(_ authority: String, isTLS: Bool, _ local: SocketAddress?) -> Bool {
        let standardPort: UInt16 = isTLS ? 443 : 80
        var name = authority.lowercased()[...]
        var port: UInt16? = standardPort
        if let colon = name.lastIndex(of: ":"), !name.hasSuffix("]") {
            port = UInt16(name[name.index(after: colon)...])
            name = name[..<colon]
        }
        if name.hasPrefix("["), name.hasSuffix("]") { name = name.dropFirst().dropLast() }
        let address = IPAddress(name)
        if name == "localhost" || address?.isLoopback == true { return true }
        guard let local, port == local.port else { return false }
        if let address { return address == local.ip }
        return name == self.listenHost.lowercased() || name == self.hostname.lowercased()
    }

    private static func systemHostname() -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { text in
            guard gethostname(text.baseAddress!, text.count - 1) == 0 else { return "" }
            text[text.count - 1] = 0
            return String(cString: text.baseAddress!)
        }
    }
}
