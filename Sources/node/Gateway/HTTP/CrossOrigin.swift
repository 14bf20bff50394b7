import HTTPWire

/// The CORS fields of a response to a page of another origin (Fetch Standard, section 3.2).
///
/// The response names the origin itself, never `*`. Every response has `Vary: Origin`, even if the
/// request has no origin: otherwise a cache would serve one page the response to another.
struct CrossOrigin: Sendable, Equatable {
    /// True also for a request without an origin, which does not come from a page.
    let isAllowed: Bool
    /// In addition to the response's own fields.
    let fields: [HTTPField]

    /// - Parameters:
    ///   - origin: the request's `Origin`.
    ///   - host: the request's `Host`, or the host that a trusted proxy reports.
    ///   - isSecure: whether the client used TLS, to this node or to a trusted proxy.
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

    /// The response to a preflight, which a browser sends before a request that a form could not
    /// send.
    ///
    /// It is the same for every path. A path refuses an unsupported request itself, and the page
    /// may read the reason.
    static func preflight(_ policy: OriginPolicy) -> HTTPResponse {
        HTTPResponse(
            .noContent,
            fields: [
                HTTPField("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE"),
                HTTPField("Access-Control-Allow-Headers", policy.headers),
                HTTPField("Access-Control-Max-Age", "600"), HTTPField("Cache-Control", "no-store"),
            ], body: [])
    }

    static let refusal = HTTPError(
        .forbidden, "Origin: pages of this origin may not ask; see --origins.")
}
