/// Where clients find the service, as links name it: `https://chat.example`, `https://example.org/chat`.
public struct PublicURL: Sendable, Hashable, CustomStringConvertible {
    /// `http` or `https`, host and port, as a browser writes it in `Origin`: in lower case, without the scheme's own port.
    public let origin: String
    /// Of a service below a path: `/chat`, without a slash at the end; else empty.
    public let path: String

    /// The whole URL, without a slash at the end: a link's path follows it.
    public var description: String { self.origin + self.path }

    static func parse(_ text: String) throws(ValueProblem) -> PublicURL {
        let problem = ValueProblem(
            "\(text.quoted) is no URL such as https://chat.example or https://example.org/chat")
        let lower = text.lowercased()
        guard let scheme = ["https", "http"].first(where: { lower.hasPrefix($0 + "://") }) else {
            throw problem
        }
        let rest = text.dropFirst(scheme.count + 3)
        let authority = rest.prefix { $0 != "/" }
        var path = rest.dropFirst(authority.count)
        while path.hasSuffix("/") { path.removeLast() }
        // No query, fragment or user: a path is added behind it.
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
