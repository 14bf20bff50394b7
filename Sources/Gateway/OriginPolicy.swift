public import Configuration

/// Which pages' scripts may connect (RFC 6454): browsers name the page's origin, other clients none.
public struct OriginPolicy: Sendable, Equatable {
    private let allowed: AllowedOrigins
    /// What its own pages name where they are found elsewhere than a request says that it came to.
    private let publicOrigin: String?
    /// Request headers that pages may send, as a preflight's answer lists them.
    let headers: String

    /// What Socket.IO's clients and the REST API's need.
    private static let usualHeaders = [
        "authorization", "content-type", "if-none-match", "x-requested-with",
    ]

    /// - Parameters:
    ///   - headers: names of more request headers that pages may send, in lower case.
    ///   - publicURL: where clients find the service; pages there are its own.
    public init(_ allowed: AllowedOrigins, headers: [String] = [], publicURL: PublicURL? = nil) {
        self.allowed = allowed
        self.publicOrigin = publicURL?.origin
        self.headers = (Self.usualHeaders + headers.filter { !Self.usualHeaders.contains($0) })
            .joined(separator: ", ")
    }

    /// Whether a request from a page of this origin may be answered.
    ///
    /// - Parameters:
    ///   - host: the request's `PortReference`, or what a proxy that is believed says of it.
    ///   - isSecure: whether the client came by TLS, here or at a proxy that is believed.
    public func allows(_ origin: String?, host: String?, isSecure: Bool) -> Bool {
        guard let origin = origin?.lowercased(), !self.allowed.any else { return true }
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
        // A scheme's own port may be written or not, on either side.
        let bare = { (text: String) in
            text.hasSuffix(port) ? String(text.dropLast(port.count)) : text
        }
        return bare(origin) == "\(scheme)://\(bare(host))"
    }

    /// Whether an allowed page may send cookies and passwords with its requests, and read the answers.
    ///
    /// Not where any page may come, and not for `null`, which any page can make its origin: what a proxy lets a browser's user see, other
    /// pages would read.
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
        // Of a browser it is nothing but a host; of others it might be a path or a user that ends like one.
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
