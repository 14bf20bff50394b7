import EventLoop
import Gateway
import HTTPWire
import Testing

@testable import Pages

@Suite("The web pages")
struct PagesTests {
    static let files = WebFiles([
        "list.html": Array(#"<link href="/assets/HASH/page.css">"#.utf8),
        "conversation.html": Array(#"<script src="/assets/HASH/page.js">"#.utf8),
        "page.js": Array(String(repeating: "export {};\n", count: 100).utf8),
        "confab.js": Array("export class Confab {}".utf8),
        "icon.svg": Array("<svg/>".utf8),
        "icon-192.png": [1, 2, 3],
    ])
    let pages = Pages(Self.files)

    private func get(
        _ path: String, host: String? = "chat.example", ifNoneMatch: String? = nil,
        acceptEncoding: String? = nil
    ) throws -> HTTPResponse {
        let request = HTTPRequest(
            method: .get, path: path, host: host, ifNoneMatch: ifNoneMatch,
            acceptEncoding: acceptEncoding,
            peer: try #require(SocketAddress(literal: "127.0.0.1", port: 1)))
        return try self.pages.answer(request, body: [])
    }

    private func field(_ name: String, of response: HTTPResponse) -> String? {
        response.fields.first { $0.name == name }?.value
    }

    @Test(arguments: [
        ("/conversations", "text/html; charset=utf-8", "no-cache"),
        ("/conversations/", "text/html; charset=utf-8", "no-cache"),
        ("/conversation/abc12345", "text/html; charset=utf-8", "no-cache"),
        ("/confab.js", "text/javascript; charset=utf-8", "no-cache"),
        ("/icon.svg", "image/svg+xml", "no-cache"),
        ("/favicon.ico", "image/png", "no-cache"),
        (
            "/assets/\(files.version)/page.js", "text/javascript; charset=utf-8",
            "public, max-age=31536000, immutable"
        ),
    ])
    func `A path has a file of this type, stored for this long`(
        path: String, type: String, caching: String
    ) throws {
        let response = try self.get(path)
        #expect(response.status == .ok)
        #expect("\(response.contentType)" == type)
        #expect(self.field("Cache-Control", of: response) == caching)
    }

    @Test(arguments: [
        "/nothing", "/assets", "/assets/1", "/assets/1/nothing.js", "/assets/1/list.html",
        "/conversation", "/conversation/a/b", "/conversation/%FF", "/conversations/%FF",
        "/conversations/a%20b",
    ])
    func `Other paths are not found`(path: String) {
        #expect(throws: HTTPError.notFound) { try self.get(path) }
    }

    @Test(arguments: ["/conversation/a%2Fb", "/conversation/%00", "/conversation/a%20b"])
    func `An id that no conversation can have is not found, and the page says so`(path: String)
        throws
    {
        let response = try self.get(path)
        #expect(response.status == .notFound)
        #expect("\(response.contentType)".hasPrefix("text/html"))
    }

    @Test(arguments: [
        ("/", "/conversations"), ("/conversations/42", "/conversation/42"),
        ("/conversations/a%3Ab/", "/conversation/a%3Ab"),
    ])
    func `A path leads to another page`(path: String, target: String) throws {
        let response = try self.get(path)
        #expect(response.status == .found)
        #expect(self.field("Location", of: response) == target)
    }

    @Test func `A page names its assets by the version, which every byte changes`() throws {
        let page = String(decoding: try self.get("/conversations").body, as: UTF8.self)
        #expect(page == #"<link href="/assets/\#(Self.files.version)/page.css">"# + "\n")
        #expect(WebFiles(["a.js": [1]]).version != WebFiles(["a.js": [2]]).version)
        #expect(WebFiles(["a.js": [1]]).version != WebFiles(["b.js": [1]]).version)
    }

    @Test func `The asset of another version is the present file, and is not stored`() throws {
        let response = try self.get("/assets/0/page.js")
        #expect(response.body == Self.files["page.js"]?.body)
        #expect(self.field("Cache-Control", of: response) == "no-store")
    }

    @Test func `A file that the browser has is not sent again`() throws {
        let first = try self.get("/conversations", acceptEncoding: "gzip")
        let tag = try #require(self.field("ETag", of: first))
        let again = try self.get("/conversations", ifNoneMatch: "\"1\", \(tag)")
        #expect(again.status == .notModified)
        #expect(again.body.isEmpty)
        #expect(try self.get("/conversations", ifNoneMatch: "\"1\"").status == .ok)
    }

    @Test func `A tag belongs to one encoding`() throws {
        let path = "/assets/\(Self.files.version)/page.js"
        let plain = try #require(self.field("ETag", of: self.get(path)))
        let gzip = try #require(self.field("ETag", of: self.get(path, acceptEncoding: "gzip")))
        #expect(plain != gzip)
        for (tag, encoding) in [(plain, nil), (gzip, "gzip")] as [(String, String?)] {
            let same = try self.get(path, ifNoneMatch: tag, acceptEncoding: encoding)
            #expect(same.status == .notModified)
            #expect(self.field("ETag", of: same) == tag)
            let other = encoding == nil ? "gzip" : nil
            #expect(try self.get(path, ifNoneMatch: tag, acceptEncoding: other).status == .ok)
        }
    }

    @Test(arguments: [
        ("gzip, deflate, br", true), ("br;q=1.0, gzip;q=0.8", true), ("*", true), ("GZIP", true),
        ("gzip;q=0", false), ("gzip;q=0.00, *", false), ("*;q=0", false), ("br", false),
        ("", false),
    ])
    func `Text is compressed if the browser allows it`(accepted: String, isCompressed: Bool) throws
    {
        let response = try self.get(
            "/assets/\(Self.files.version)/page.js", acceptEncoding: accepted)
        #expect((self.field("Content-Encoding", of: response) == "gzip") == isCompressed)
        #expect((response.body.count < 100) == isCompressed)
        #expect(self.field("Vary", of: response) == "Accept-Encoding")
    }

    @Test func `What compression does not shorten is sent as it is`() throws {
        let response = try self.get("/icon-192.png", acceptEncoding: "gzip")
        #expect(response.body == [1, 2, 3])
        #expect(self.field("Content-Encoding", of: response) == nil)
    }

    @Test func `Other servers' pages may load the kit, and no page may contain ours`() throws {
        let kit = try self.get("/confab.js")
        #expect(self.field("Access-Control-Allow-Origin", of: kit) == "*")
        let page = try self.get("/conversations")
        #expect(self.field("Access-Control-Allow-Origin", of: page) == nil)
        let policy = try #require(self.field("Content-Security-Policy", of: page))
        #expect(policy.contains("frame-ancestors 'none'"))
        #expect(policy.contains("connect-src 'self' ws://chat.example wss://chat.example;"))
    }

    @Test(arguments: [
        ("chat.example:8080", true), ("[::1]:8080", true), (nil, false), ("", false),
        ("a; script-src *", false), ("a b", false), ("a,b", false),
    ])
    func `A host cannot add a directive to the policy`(host: String?, isNamed: Bool) {
        let policy = Pages.contentSecurityPolicy(host: host)
        let sockets = isNamed ? host.map { " ws://\($0) wss://\($0)" } ?? "" : ""
        #expect(policy.contains("connect-src 'self'\(sockets); manifest-src"))
    }

    @Test func `The program contains the files that the pages name`() throws {
        let files = WebFiles(WebFile.embedded())
        for page in ["list.html", "conversation.html"] {
            let html = String(decoding: try #require(files[page]).body, as: UTF8.self)
            let assets = html.split(separator: "\"").filter { $0.hasPrefix("/assets/") }
            #expect(!assets.isEmpty)
            for asset in assets {
                let parts = asset.split(separator: "/")
                #expect(parts[1] == files.version)
                #expect(files[parts[2]] != nil, "\(asset)")
            }
        }
    }
}
