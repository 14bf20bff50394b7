import EventLoop
import Gateway
import HTTPWire
import Testing

@testable import Pages

@Suite("The operators' page")
struct OperatorPageTests {
    private static let contents: [String: [UInt8]] = [
        "admin.html": Array(#"<script src="/assets/HASH/admin.js">"#.utf8),
        "admin.js": Array("start();".utf8), "dom.js": Array("export {};".utf8),
        "page.js": Array("export {};".utf8), "list.html": Array("list".utf8),
        "icon.svg": Array("<svg/>".utf8), "icon-192.png": [1, 2, 3],
    ]
    private let page = OperatorPage(Self.contents)
    private let pages = Pages(Self.contents)

    private func request(_ path: String, ifNoneMatch: String? = nil) throws -> HTTPRequest {
        HTTPRequest(
            method: .get, path: path, host: "localhost:8090", ifNoneMatch: ifNoneMatch,
            peer: try #require(SocketAddress(literal: "127.0.0.1", port: 1)))
    }

    private func field(_ name: String, of response: HTTPResponse) -> String? {
        response.fields.first { $0.name == name }?.value
    }

    @Test func `It loads only files of its own listener, and text becomes no markup`() throws {
        let response = try #require(self.page.response(to: self.request("/")))
        #expect(self.field("Cache-Control", of: response) == "no-cache")
        let policy = try #require(self.field("Content-Security-Policy", of: response))
        #expect(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"))
        #expect(policy.contains("connect-src 'self';"))
        #expect(policy.contains("require-trusted-types-for 'script'; trusted-types 'none'"))
        let tag = try #require(self.field("ETag", of: response))
        let again = try self.page.response(to: self.request("/", ifNoneMatch: tag))
        #expect(again?.status == .notModified && again?.body.isEmpty == true)
    }

    @Test func `Its files are stored for ever under their version`() throws {
        let html = try #require(self.page.response(to: self.request("/"))).body
        let path = String(decoding: html, as: UTF8.self).split(separator: "\"")[1]
        let script = try #require(self.page.response(to: self.request(String(path))))
        #expect(self.field("Cache-Control", of: script)?.hasSuffix("immutable") == true)
        let other = try #require(self.page.response(to: self.request("/assets/0/admin.js")))
        #expect(self.field("Cache-Control", of: other) == "no-store")
        #expect(try self.page.response(to: self.request("/favicon.ico"))?.body == [1, 2, 3])
    }

    @Test(arguments: [
        "/conversations", "/assets/0/page.js", "/assets/0/list.html", "/assets/0/admin.html",
        "/metrics", "/api/cluster/status", "/admin.html",
    ])
    func `It has no other paths`(path: String) throws {
        #expect(try self.page.response(to: self.request(path)) == nil)
    }

    @Test(arguments: ["/assets/0/admin.js", "/assets/0/dom.js", "/admin.html", "/admin.js"])
    func `The client port does not have its files`(path: String) {
        #expect(throws: HTTPError.notFound) {
            try self.pages.answer(self.request(path), body: [])
        }
    }
}
