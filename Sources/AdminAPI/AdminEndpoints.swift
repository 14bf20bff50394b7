internal import Bytes
internal import COpenSSL
public import Gateway
public import HTTPWire
public import Telemetry

/// The endpoints of the admin listener: `/metrics` for Prometheus, and `/api/cluster/` for
/// operators' subcommands.
///
/// They are never served on the client port, and users' tokens do not open them. On loopback,
/// requests of local browsers are rejected by their `Origin`, and by a `Host` that is not loopback
/// (DNS rebinding). Elsewhere a bearer token is required.
public struct AdminEndpoints: RequestHandler {
    private let isLoopback: Bool
    private let token: [UInt8]?
    private let admin: ClusterAdmin?
    private let snapshot: @Sendable () -> MetricsSnapshot

    /// - Parameters:
    ///   - isLoopback: whether only this machine reaches the listener.
    ///   - token: the bearer token that every request must carry; nil for none.
    ///   - admin: answers the requests under `/api/cluster/`.
    ///   - snapshot: takes a snapshot of all metrics.
    public init(
        isLoopback: Bool, token: [UInt8]?, admin desk: ClusterAdmin? = nil,
        snapshot: @escaping @Sendable () -> MetricsSnapshot
    ) {
        self.isLoopback = isLoopback
        self.token = token
        self.admin = desk
        self.snapshot = snapshot
    }

    public func asyncResponse(for request: HTTPRequest, body: [UInt8]) throws(HTTPError)
        -> AsyncResponse?
    {
        guard let desk = self.admin, request.path.hasPrefix(ClusterAdmin.prefix) else { return nil }
        try self.check(request)
        return try desk.work(for: request, body: body)
    }

    public func answer(_ request: HTTPRequest, body: [UInt8]) throws(HTTPError) -> HTTPResponse {
        try self.check(request)
        guard request.path == "/metrics" else { throw .notFound }
        guard request.method == .get || request.method == .head else {
            throw .methodNotAllowed("GET", "HEAD")
        }
        var page = ByteBuffer()
        self.snapshot().write(to: &page)
        return HTTPResponse(
            contentType: MetricsSnapshot.contentType,
            fields: [HTTPField("Cache-Control", "no-store")], body: page.bytes)
    }

    private func check(_ request: HTTPRequest) throws(HTTPError) {
        if let origin = request.origin {
            // The listener serves no pages, so any origin is foreign.
            throw HTTPError(
                .forbidden, "The admin API is not for pages; the origin \(origin) may not ask.")
        }
        if self.isLoopback, let host = request.host, !Self.isLoopback(host) {
            throw HTTPError(
                .forbidden, "The Host field must name this machine: localhost, 127.0.0.1 or [::1].")
        }
        guard let token = self.token else { return }
        let refusal = HTTPError(
            .unauthorized, "The admin API needs its bearer token.",
            fields: [HTTPField("WWW-Authenticate", "Bearer")])
        let scheme = "bearer "
        guard let field = request.authorization, field.lowercased().hasPrefix(scheme) else {
            throw refusal
        }
        let given = Array(field.utf8.dropFirst(scheme.utf8.count))
        // In constant time, so that the response time reveals nothing about the token.
        guard given.count == token.count, CRYPTO_memcmp(given, token, token.count) == 0 else {
            throw refusal
        }
    }

    static func isLoopback(_ host: String) -> Bool {
        guard let name = HostPort(host[...])?.host else { return false }
        return name.lowercased() == "localhost" || IPAddress(name)?.isLoopback == true
    }
}
