public import Configuration

/// Which pages' scripts may connect (RFC 6454): browsers name the page's origin, other clients none.
public struct OriginPolicy: Sendable, Equatable {
    private let allowed: AllowedOrigins

    public init(_ allowed: AllowedOrigins) {
        self.allowed = allowed
    }

    /// Whether a request from a page of this origin may be answered.
    ///
    /// - Parameters:
    ///   - host: the request's `Host`.
    ///   - isSecure: whether the client came by TLS, here or at a proxy that is believed.
    public func allows(_ origin: String?, host: String?, isSecure: Bool) -> Bool {
        guard let origin = origin?.lowercased(), !self.allowed.any else { return true }
        if self.allowed.others.contains(origin) { return true }
        guard self.allowed.own, let host = host?.lowercased() else { return false }
        let scheme = isSecure ? "https" : "http"
        let port = isSecure ? ":443" : ":80"
        // A scheme's own port may be written or not, on either side.
        let bare = { (text: String) in text.hasSuffix(port) ? String(text.dropLast(port.count)) : text }
        return bare(origin) == "\(scheme)://\(bare(host))"
    }
}
