/// Which pages' scripts may connect (RFC 6454): browsers name the page's origin, other clients none.
public struct OriginPolicy: Sendable, Equatable {
    private let allowed: Set<String>
    private let allowsAny: Bool

    /// - Parameter origins: such as `https://chat.example.org`, without a slash at the end; `*` allows any.
    public init(_ origins: [String]) {
        self.allowsAny = origins.contains("*")
        self.allowed = Set(origins.map { $0.lowercased() })
    }

    /// Whether a request from a page of this origin may be answered. The server's own origin always may.
    ///
    /// - Parameters:
    ///   - host: the request's `Host`.
    ///   - isSecure: whether the client came by TLS, here or at a proxy that is believed.
    public func allows(_ origin: String?, host: String?, isSecure: Bool) -> Bool {
        guard let origin = origin?.lowercased(), !self.allowsAny else { return true }
        if self.allowed.contains(origin) { return true }
        guard let host = host?.lowercased() else { return false }
        let scheme = isSecure ? "https" : "http"
        let port = isSecure ? ":443" : ":80"
        // A scheme's own port may be written or not, on either side.
        let bare = { (text: String) in text.hasSuffix(port) ? String(text.dropLast(port.count)) : text }
        return bare(origin) == "\(scheme)://\(bare(host))"
    }
}
