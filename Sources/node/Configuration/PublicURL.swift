internal import Bytes

/// The public URL of the service, for links: `https://chat.example`.
///
/// It has no path. Pages and clients name paths from the root of the host, so they would not work
/// below one, even if a proxy removed it.
public struct PublicURL: Sendable, Hashable, CustomStringConvertible {
    /// `http` or `https`, host and port, in the form of a browser's `Origin`: lower case, without
    /// the scheme's default port.
    public let origin: String

    /// The host without the port; an IPv6 address without its brackets.
    public var host: Substring {
        let authority = self.origin.drop { $0 != "/" }.dropFirst(2)
        return HostPort(authority)?.host ?? authority
    }

    /// The whole URL, without a slash at the end, so that the path of a link can be appended.
    public var description: String { self.origin }

    static func parse(_ text: String) throws(ValueProblem) -> PublicURL {
        let problem = ValueProblem("\(text.quoted) is not a URL such as https://chat.example")
        let lower = text.lowercased()
        guard let scheme = ["https", "http"].first(where: { lower.hasPrefix($0 + "://") }) else {
            throw problem
        }
        let rest = text.dropFirst(scheme.count + 3)
        let authority = rest.prefix { $0 != "/" }
        guard rest.dropFirst(authority.count).allSatisfy({ $0 == "/" }) else {
            throw ValueProblem(
                "\(text.quoted) has a path; the pages are at the root of a host of their own, "
                    + "such as https://chat.example")
        }
        var origins = AllowedOrigins()
        do throws(ValueProblem) {
            try AllowedOrigins.add("\(scheme)://\(authority)", to: &origins)
        } catch {
            throw problem
        }
        guard let origin = origins.others.first else { throw problem }
        return PublicURL(origin: origin)
    }
}
