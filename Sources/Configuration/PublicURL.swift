internal import Bytes

/// The public URL of the service, for links: `https://chat.example`, `https://example.org/chat`.
public struct PublicURL: Sendable, Hashable, CustomStringConvertible {
    /// `http` or `https`, host and port, in the form of a browser's `Origin`: lower case, without
    /// the scheme's default port.
    public let origin: String
    /// The path below which the service is mounted: `/chat`, without a slash at the end; empty if
    /// there is none.
    public let path: String

    /// The host without the port; an IPv6 address without its brackets.
    public var host: Substring {
        let authority = self.origin.drop { $0 != "/" }.dropFirst(2)
        return HostPort(authority)?.host ?? authority
    }

    /// The whole URL, without a slash at the end, so that the path of a link can be appended.
    public var description: String { self.origin + self.path }

    static func parse(_ text: String) throws(ValueProblem) -> PublicURL {
        let problem = ValueProblem(
            "\(text.quoted) is not a URL such as https://chat.example or https://example.org/chat")
        let lower = text.lowercased()
        guard let scheme = ["https", "http"].first(where: { lower.hasPrefix($0 + "://") }) else {
            throw problem
        }
        let rest = text.dropFirst(scheme.count + 3)
        let authority = rest.prefix { $0 != "/" }
        var path = rest.dropFirst(authority.count)
        while path.hasSuffix("/") { path.removeLast() }
        // No query, fragment or user name, because paths are appended.
        guard path.utf8.allSatisfy({ $0.isASCIILetterOrDigit || "/-._~%".utf8.contains($0) }) else {
            throw problem
        }
        var origins = AllowedOrigins()
        do throws(ValueProblem) {
            try AllowedOrigins.add("\(scheme)://\(authority)", to: &origins)
        } catch {
            throw problem
        }
        guard let origin = origins.others.first else { throw problem }
        return PublicURL(origin: origin, path: String(path))
    }
}
