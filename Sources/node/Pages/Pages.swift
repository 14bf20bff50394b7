internal import Bytes
internal import DialectKit
public import Gateway
public import HTTPWire
internal import Identity

/// Serves the web pages (seed `002`, `PROTOCOLS`, "Pages"), and the client kit for JavaScript.
///
/// A page checks with every visit whether it has changed. The files that it names are immutable,
/// because their paths contain the version. A node of another version, which a rolling upgrade
/// runs beside this one, answers such a path with its own file, which must not be stored.
public struct Pages: RequestHandler {
    /// The response that a path of the pages gets.
    private enum Resource {
        case redirect(String)
        /// - Parameter isFound: false for a conversation that cannot exist: the page says so, too.
        case page(WebFile, isFound: Bool = true)
        /// A file whose path contains its version.
        case asset(WebFile, isCurrent: Bool)
        /// A file whose path stays the same in every version.
        case file(WebFile)
        /// The kit, for the pages of other servers too.
        case kit(WebFile)
    }

    private let files: WebFiles

    public init() { self.init(WebFile.embedded()) }

    /// - Parameter contents: the bytes of all embedded files, by their names. Those of the
    ///   operators' page are never on the client port.
    init(_ contents: [String: [UInt8]]) {
        self.init(WebFiles(contents.filter { !OperatorPage.isOwn($0.key) }))
    }

    init(_ files: WebFiles) { self.files = files }

    /// The paths of the pages. They are answered in every state of the node: a page then says what
    /// is wrong, and connects later.
    public var routes: [Route] {
        let patterns: [PathPattern] = [
            "/", "/conversations", "/conversations/{id}", "/conversation/{id}", "/confab.js",
            "/assets/{version}/{name}", "/manifest.webmanifest", "/icon.svg", "/icon-192.png",
            "/icon-512.png", "/apple-touch-icon.png", "/favicon.ico",
        ]
        return patterns.map { .page($0, self) }
    }

    public func answer(_ request: HTTPRequest, body: [UInt8]) throws(HTTPError) -> HTTPResponse {
        guard let resource = self.resource(at: request.path) else { throw .notFound }
        switch resource {
        case .redirect(let path):
            return HTTPResponse(.found, fields: [HTTPField("Location", path)], body: [])
        case .page(let file, let isFound):
            let policy = Self.contentSecurityPolicy(host: request.host)
            var response = Self.response(file, request, Self.pageFields(policy: policy))
            if !isFound, response.status == .ok { response.status = .notFound }
            return response
        case .asset(let file, let isCurrent):
            let caching = isCurrent ? "public, max-age=31536000, immutable" : "no-store"
            return Self.response(file, request, [HTTPField("Cache-Control", caching)])
        case .file(let file):
            return Self.response(file, request, [HTTPField("Cache-Control", "no-cache")])
        case .kit(let file):
            let fields = [
                HTTPField("Cache-Control", "no-cache"),
                HTTPField("Access-Control-Allow-Origin", "*"),
            ]
            return Self.response(file, request, fields)
        }
    }

    private func resource(at path: String) -> Resource? {
        let parts = path.split(separator: "/")
        switch (parts.first, parts.count) {
        case (nil, _): return .redirect("/conversations")
        case ("conversations", 1): return self.files["list.html"].map { .page($0) }
        // The address of a WebSocket in the protocol Conversations, opened in a browser. Its query
        // may contain a token, which must not stay in the address.
        case ("conversations", 2) where Self.isConversation(parts[1]):
            return .redirect("/conversation/\(parts[1])")
        case ("conversation", 2):
            guard let id = PercentEncoding.decode(parts[1].utf8) else { return nil }
            let isFound = IdentityRule.conversation.allows(id)
            return self.files["conversation.html"].map { .page($0, isFound: isFound) }
        case ("confab.js", 1): return self.files["confab.js"].map { .kit($0) }
        case ("assets", 3) where !parts[2].hasSuffix(".html"):
            let isCurrent = parts[1] == self.files.version
            return self.files[parts[2]].map { .asset($0, isCurrent: isCurrent) }
        case ("favicon.ico", 1), ("apple-touch-icon.png", 1):
            return self.files["icon-192.png"].map { .file($0) }
        case (let name?, 1): return self.files[name].map { .file($0) }
        default: return nil
        }
    }

    /// Whether a conversation may have this id.
    private static func isConversation(_ part: Substring) -> Bool {
        PercentEncoding.decode(part.utf8).map { IdentityRule.conversation.allows($0) } ?? false
    }

    static func response(_ file: WebFile, _ request: HTTPRequest, _ fields: [HTTPField])
        -> HTTPResponse
    {
        let gzipBody = Gzip.isAccepted(by: request.acceptEncoding) ? file.gzipBody : nil
        let tag = gzipBody == nil ? file.tag : file.gzipTag
        var response = HTTPResponse(
            contentType: file.contentType,
            fields: fields + [
                HTTPField("ETag", tag.text), HTTPField("Vary", "Accept-Encoding"),
            ], body: file.body)
        if tag.matches(request.ifNoneMatch) {
            response.status = .notModified
            response.body = []
        } else if let gzipBody {
            response.fields.append(HTTPField("Content-Encoding", "gzip"))
            response.body = gzipBody
        }
        return response
    }

    static func pageFields(policy: String) -> [HTTPField] {
        [
            HTTPField("Cache-Control", "no-cache"),
            HTTPField("Content-Security-Policy", policy),
            HTTPField("Cross-Origin-Opener-Policy", "same-origin"),
            HTTPField("Referrer-Policy", "no-referrer"),
        ]
    }

    /// Everything comes from this server, and nothing is inline.
    ///
    /// - Parameter host: the host that the browser requested. WebKit does not count WebSockets of
    ///   the same host as `'self'`, so they are named.
    static func contentSecurityPolicy(host: String?) -> String {
        let isHost = host.map { !$0.isEmpty && $0.utf8.allSatisfy(Self.isHostLetter) } ?? false
        let sockets = isHost ? host.map { " ws://\($0) wss://\($0)" } ?? "" : ""
        return [
            "default-src 'none'", "script-src 'self'", "style-src 'self'",
            "img-src 'self' data: blob:", "connect-src 'self'\(sockets)", "manifest-src 'self'",
            "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'",
            "require-trusted-types-for 'script'", "trusted-types 'none'",
        ].joined(separator: "; ")
    }

    /// The letters of a name, an IPv4 or IPv6 address, and a port. Others could add directives.
    private static func isHostLetter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: ".-_:[]".utf8.contains(byte)
        }
    }
}
