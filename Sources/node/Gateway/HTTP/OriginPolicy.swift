public import Configuration

/// Decides which origins may connect (RFC 6454). Browsers send the page's origin; other clients
/// send none.
public struct OriginPolicy: Sendable, Equatable {
    private let allowed: AllowedOrigins
    /// The origin of the service's own pages behind a public URL.
    private let publicOrigin: String?
    /// The request headers that pages may send, as in the response to a preflight.
    let headers: String

    /// The headers that Socket.IO and REST clients need.
    private static let usualHeaders = [
        "authorization", "content-type", "if-none-match", "x-requested-with",
    ]

    /// - Parameters:
    ///   - headers: further request headers that pages may send, in lower case.
    ///   - publicURL: where clients reach the service. Pages of its origin are the service's own.
    public init(_ allowed: AllowedOrigins, headers: [String] = [], publicURL: PublicURL? = nil) {
        self.allowed = allowed
        self.publicOrigin = publicURL?.origin
        self.headers = (Self.usualHeaders + headers.filter { !Self.usualHeaders.contains($0) })
            .joined(separator: ", ")
    }

    /// Whether a request from a page of this origin may be answered.
    ///
    /// - Parameters:
    ///   - host: the request's `Host`, or the host that a trusted proxy reports.
    ///   - isSecure: whether the client used TLS, to this node or to a trusted proxy.
    public func allows(_ origin: String?, host: String?, isSecure: Bool) -> Bool {
        guard var origin = origin?.lowercased(), !self.allowed.any else { return true }
        // Some clients other than browsers send the URL of the WebSocket.
        if origin.hasPrefix("ws://") || origin.hasPrefix("wss://") {
            origin = "http" + origin.dropFirst(2)
        }
        if self.allowed.others.contains(origin)
            || self.allowed.subdomains.contains(where: { $0.contains(origin) })
        {
            return true
        }
        guard self.allowed.own else { return false }
        if origin == self.publicOrigin { return true }
        guard let host = host?.lowercased() else { return false }
        let scheme = isSecure ? "https" : "http"
        let port = isSecure ? ":443" : ":80"
        // The scheme's default port is optional on both sides.
        let bare = { (text: String) in
            text.hasSuffix(port) ? String(text.dropLast(port.count)) : text
        }
        return bare(origin) == "\(scheme)://\(bare(host))"
    }

    /// Whether an allowed page may send cookies and passwords, and read the responses.
    ///
    /// Not if any page is allowed, and not for `null`, which any page can have as its origin: those
    /// pages would read what a proxy shows to the browser's user.
    public func allowsCredentials(_ origin: String) -> Bool {
        !self.allowed.any && origin.lowercased() != "null"
    }
}

extension AllowedOrigins.Subdomains {
    /// - Parameter origin: in lower case.
    fileprivate func contains(_ origin: String) -> Bool {
        guard origin.hasPrefix("\(self.scheme)://") else { return false }
        var host = origin.dropFirst(self.scheme.utf8.count + 3)
        let ending = self.port.map { ":\($0)" } ?? (self.scheme == "https" ? ":443" : ":80")
        if host.hasSuffix(ending) {
            host = host.dropLast(ending.utf8.count)
        } else if self.port != nil {
            return false
        }
        guard host.hasSuffix(".\(self.parent)") else { return false }
        // A browser sends only a host here. Another client may send a path or a user name that ends
        // like one.
        let labels = host.dropLast(self.parent.utf8.count + 1).split(
            separator: ".", omittingEmptySubsequences: false)
        return labels.allSatisfy { label in
            !label.isEmpty
                && label.utf8.allSatisfy {
                    (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D
                        || $0 == 0x5F
                }
        }
    }
}
