internal import Bytes
internal import Configuration
internal import EventLoop
public import Gateway
public import HTTPWire
public import Telemetry

/// The endpoints of the admin listener: `/metrics` for Prometheus, `/api/cluster/` for operators'
/// subcommands, and the operators' page.
///
/// They are never served on the client port, and users' tokens do not open them. On loopback,
/// requests of local browsers are rejected by a `Host` that is not loopback (DNS rebinding).
/// Everywhere, a page of another origin is rejected. Elsewhere a bearer token is required. The
/// page's files are public and need no token; its requests to the API do.
public struct AdminEndpoints: RequestHandler {
    private let isLoopback: Bool
    private let tokens: AdminTokens?
    private let tokenFile: String?
    private let admin: ClusterAdmin?
    private let page: @Sendable (HTTPRequest) -> HTTPResponse?
    private let snapshot: @Sendable () -> MetricsSnapshot

    /// - Parameters:
    ///   - isLoopback: whether only this machine reaches the listener.
    ///   - tokens: every request must carry one of these bearer tokens; nil for none.
    ///   - tokenFile: the absolute path of the token that the node has created. A refused client
    ///     receives the path and can read the token if its user may read the file.
    ///   - admin: answers the requests under `/api/cluster/`.
    ///   - page: returns a file of the operators' page; nil for a path that has none.
    ///   - snapshot: takes a snapshot of all metrics.
    public init(
        isLoopback: Bool, tokens: AdminTokens?, tokenFile: String? = nil,
        admin: ClusterAdmin? = nil,
        page: @escaping @Sendable (HTTPRequest) -> HTTPResponse? = { _ in nil },
        snapshot: @escaping @Sendable () -> MetricsSnapshot
    ) {
        self.isLoopback = isLoopback
        self.tokens = tokens
        self.tokenFile = tokenFile
        self.admin = admin
        self.page = page
        self.snapshot = snapshot
    }

    public func checkBeforeBody(_ request: HTTPRequest) throws(HTTPError) {
        try self.checkSource(of: request)
        // Nodes prove themselves with a signature in the body.
        guard request.path != ClusterAdmin.directPath else { return }
        _ = try self.caller(of: request)
    }

    public func asyncResponse(for request: HTTPRequest, body: [UInt8]) throws(HTTPError)
        -> AsyncResponse?
    {
        guard let admin else { return nil }
        if request.path == ClusterAdmin.directPath {
            try self.checkSource(of: request)
            return try admin.directAnswer(to: request, body)
        }
        guard request.path.hasPrefix(AdminRouter.prefix) else { return nil }
        try self.checkSource(of: request)
        return try AdminRouter.work(
            for: request, body: body, by: try self.caller(of: request), admin)
    }

    public func answer(_ request: HTTPRequest, body: [UInt8]) throws(HTTPError) -> HTTPResponse {
        if request.method == .get || request.method == .head, let file = self.page(request) {
            // A link of another page may lead to this one.
            try self.checkSource(of: request, allowsLinks: true)
            return file
        }
        try self.checkSource(of: request)
        _ = try self.caller(of: request)
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

    /// Browsers send no `Origin` with an image or a link, but say which site it is of.
    ///
    /// - Parameter allowsLinks: whether the user may come from another page.
    /// - Throws: 403 for a request of another page, or through a name of another host.
    private func checkSource(of request: HTTPRequest, allowsLinks: Bool = false) throws(HTTPError) {
        if let site = request.fetchSite, site != "same-origin", site != "none",
            !allowsLinks || request.fetchMode != "navigate"
        {
            throw HTTPError(
                .forbidden, "The admin API is not for other pages; Sec-Fetch-Site is \(site).")
        }
        if let origin = request.origin, !Self.isOwn(origin, host: request.host) {
            throw HTTPError(
                .forbidden,
                "The admin API is not for other pages; the origin \(origin) may not ask.")
        }
        if self.isLoopback, let host = request.host, !Self.isLoopback(host) {
            throw HTTPError(
                .forbidden, "The Host field must name this machine: localhost, 127.0.0.1 or [::1].")
        }
    }

    /// - Throws: 401 for a request without a valid token, where one is required.
    private func caller(of request: HTTPRequest) throws(HTTPError) -> AdminCaller {
        guard let tokens else {
            return AdminCaller(name: request.peer.host, role: .operate)
        }
        guard let caller = tokens.caller(request.authorization) else {
            var fields = [HTTPField("WWW-Authenticate", "Bearer")]
            if let tokenFile {
                // Encoded, because a header field is ASCII.
                fields.append(HTTPField(Self.tokenFileField, PercentEncoding.encode(tokenFile)))
            }
            throw HTTPError(
                .unauthorized, "The admin API needs its bearer token.", fields: fields)
        }
        return caller
    }

    /// The field of a 401 that says where the node's own token is.
    static let tokenFileField = "Confab-Token-File"

    /// Whether a page of this listener sent the request. `Host` is the address that the browser
    /// asked, so the origin of its own page has the same one. The listener has no TLS; behind a
    /// proxy, the page may have.
    private static func isOwn(_ origin: String, host: String?) -> Bool {
        guard let host, !host.isEmpty else { return false }
        let name = host.lowercased()
        return ["http://\(name)", "https://\(name)"].contains(origin.lowercased())
    }

    static func isLoopback(_ host: String) -> Bool {
        guard let name = HostPort(host[...])?.host else { return false }
        return name.lowercased() == "localhost" || IPAddress(name)?.isLoopback == true
    }
}
