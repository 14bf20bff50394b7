/// Which web pages may talk to the server, by the `Origin` that a browser sends (RFC 6454).
public struct AllowedOrigins: Sendable, Hashable {
    /// Every page may.
    public var any: Bool
    /// Pages that the server itself has delivered may: their origin is the `Host` of the request.
    public var own: Bool
    /// `https://chat.example`, in lower case, without a slash and without the scheme's own port.
    public var others: [String]

    public init(any: Bool = false, own: Bool = false, others: [String] = []) {
        self.any = any
        self.own = own
        self.others = others
    }

    static let standard = AllowedOrigins(own: true, others: ["http://localhost:3000", "http://127.0.0.1:3000"])
    static let standardText = "own,http://localhost:3000,http://127.0.0.1:3000"

    static func add(_ text: String, to origins: inout AllowedOrigins) throws(ValueProblem) {
        switch text {
        case "*": origins.any = true
        case "own": origins.own = true
        case "none": break
        default: origins.others.append(try self.origin(text))
        }
    }

    private static func origin(_ text: String) throws(ValueProblem) -> String {
        let problem = ValueProblem("\(text.quoted) is no origin such as https://chat.example, nor own or *")
        let text = text.lowercased()
        guard let scheme = ["https", "http"].first(where: { text.hasPrefix($0 + "://") }) else { throw problem }
        let rest = text.dropFirst(scheme.count + 3)
        let isLiteral = rest.hasPrefix("[")
        let authority = rest.utf8
        guard !authority.isEmpty, authority.allSatisfy({ $0.isASCIILetterOrDigit || "-._:[]".utf8.contains($0) }) else { throw problem }
        // A host without a port is an address without one, so one parser judges both.
        let standardPort = scheme == "https" ? "443" : "80"
        let hasPort = isLiteral ? rest.contains("]:") : rest.contains(":")
        guard let address = try? ListenAddress.parse(hasPort ? String(rest) : "\(rest):\(standardPort)"), address.port != 0 else {
            throw problem
        }
        return "\(scheme)://\(hasPort && String(address.port) != standardPort ? address.description : self.host(of: address))"
    }

    private static func host(of address: ListenAddress) -> String {
        address.host.contains(":") ? "[\(address.host)]" : address.host
    }
}
