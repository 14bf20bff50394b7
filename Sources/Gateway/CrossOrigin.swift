import HTTPWire

/// What an answer says to a page of another origin: whether the page may see it (Fetch Standard, section 3.2).
///
/// The origin itself is named, never `*`, and `Vary: Origin` stands in every answer, also to whoever names none: a cache between would
/// give one page the answer to another.
struct CrossOrigin: Sendable, Equatable {
    /// What names no origin is no page.
    let isAllowed: Bool
    /// Beside the answer's own ones.
    let fields: [HTTPField]

    /// - Parameters:
    ///   - origin: the request's `Origin`.
    ///   - host: the request's `PortReference`, or what a proxy that is believed says of it.
    ///   - isSecure: whether the client came by TLS, here or at a proxy that is believed.
    init(_ origin: String?, host: String?, isSecure: Bool, _ policy: OriginPolicy) {
        self.isAllowed = policy.allows(origin, host: host, isSecure: isSecure)
        var fields = [HTTPField("Vary", "Origin")]
        if let origin, self.isAllowed {
            fields.append(HTTPField("Access-Control-Allow-Origin", origin))
            if policy.allowsCredentials(origin) {
                fields.append(HTTPField("Access-Control-Allow-Credentials", "true"))
            }
            fields.append(HTTPField("Access-Control-Expose-Headers", "ETag, Location, Retry-After"))
        }
        self.fields = fields
    }

    /// Pages elsewhere may be let to these paths; a WebSocket asks for no leave, and is judged by its `Origin` alone.
    static func applies(_ head: HTTPRequestHead, in bytes: RawSpan) -> Bool {
        head.pathStarts(with: "/api/", in: bytes) || head.pathEquals("/api", in: bytes)
            || head.pathStarts(with: "/socket.io/", in: bytes)
            || head.pathEquals("/socket.io", in: bytes)
    }

    /// To a browser that asks before it sends what a form could not. The same for every path: what a path does not take it refuses
    /// itself, and the page may read why.
    static func preflight(_ policy: OriginPolicy) -> HTTPResponse {
        HTTPResponse(
            .noContent,
            fields: [
                HTTPField("Access-Control-Allow-Methods", "GET, HEAD, POST"),
                HTTPField("Access-Control-Allow-Headers", policy.headers),
                HTTPField("Access-Control-Max-Age", "600"), HTTPField("Cache-Control", "no-store"),
            ], body: [])
    }

    static let refusal = HTTPError(
        .forbidden, "Origin: pages of this origin may not ask; see --origins.")
}
