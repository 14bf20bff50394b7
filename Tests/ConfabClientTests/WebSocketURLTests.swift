import Testing

@testable import ConfabClient

@Suite("The URL of a WebSocket")
struct WebSocketURLTests {
    @Test(
        "is parsed",
        arguments: [
            ("ws://host", false, "host", 80, "/", nil, "host"),
            (
                "WS://Host:8080/conversations/general/?after=1", false, "Host", 8080,
                "/conversations/general/", "after=1", "Host:8080"
            ),
            (
                "wss://chat.example.org/a%20b", true, "chat.example.org", 443, "/a%20b", nil,
                "chat.example.org"
            ),
            ("https://host:443?x", true, "host", 443, "/", "x", "host"),
            ("http://127.0.0.1:80/", false, "127.0.0.1", 80, "/", nil, "127.0.0.1"),
            ("ws://[::1]:9000/x?", false, "::1", 9000, "/x", "", "[::1]:9000"),
            ("wss://[2001:db8::1]", true, "2001:db8::1", 443, "/", nil, "[2001:db8::1]"),
            ("ws://host:", false, "host", 80, "/", nil, "host"),
        ] as [(String, Bool, String, UInt16, String, String?, String)])
    func parts(
        text: String, isSecure: Bool, host: String, port: UInt16, path: String, query: String?,
        hostField: String
    ) throws {
        let url = try WebSocketURL(text)
        #expect(url.isSecure == isSecure)
        #expect(url.host == host)
        #expect(url.port == port)
        #expect(url.path == path)
        #expect(url.query == query)
        #expect(url.hostField == hostField)
        #expect(url.target == (query.map { "\(path)?\($0)" } ?? path))
    }

    @Test(
        "is rejected with a reason",
        arguments: [
            ("", "it must begin with ws://"), ("host:80", "it must begin with ws://"),
            ("ftp://host", "it must begin with ws://"),
            ("ws://", "the host is missing"), ("ws://:80", "the host is missing"),
            ("ws:///path", "the host is missing"),
            ("ws://host:0", "\"0\" is not a port"), ("ws://host:65536", "\"65536\" is not a port"),
            ("ws://host:8o", "\"8o\" is not a port"),
            ("ws://host:-1", "\"-1\" is not a port"), ("ws://user:pass@host", "a user name"),
            ("ws://host/#top", "fragment"),
            ("ws://ho st", "percent-encoded"), ("ws://höst", "percent-encoded"),
            ("ws://host/\r\nX: y", "percent-encoded"),
            ("ws://[::1", "closing bracket"), ("ws://[host]", "not an IPv6 address"),
            ("ws://[::1]80", "a colon is missing"),
            ("ws://ho\"st", "not a host name"), ("ws://::1/", "must be in brackets"),
            ("ws://[]", "not an IPv6 address"),
            ("ws://[::1]x", "a colon is missing"),
        ])
    func refusals(text: String, words: String) {
        let error = #expect(throws: WebSocketURLError.self) { try WebSocketURL(text) }
        let sentence = error?.description ?? ""
        #expect(sentence.contains(words), "\(sentence)")
        #expect(sentence.hasPrefix("The URL cannot be used: ") && sentence.hasSuffix("."))
    }

    @Test("is described without its query, which may contain a token")
    func description() throws {
        #expect("\(try WebSocketURL("wss://host:8443/x?token=secret"))" == "wss://host:8443/x")
    }

    @Test("contains each parameter once")
    func parameters() throws {
        let url = try WebSocketURL("ws://host/x?token=old&b=2&token=older&tokens=3")
        let changed = url.setting("token", to: "a b&c=ü")
        #expect(changed.query == "b=2&tokens=3&token=a%20b%26c%3D%C3%BC")
        #expect(changed.parameter("token") == "a b&c=ü")
        #expect(changed.parameter("tokens") == "3")
        #expect(changed.parameter("none") == nil)
        #expect(try WebSocketURL("ws://host").setting("after", to: "7").target == "/?after=7")
    }

    @Test("keeps its mount path")
    func appending() throws {
        #expect(try WebSocketURL("ws://host").appending(path: "/g/1").path == "/g/1")
        #expect(
            try WebSocketURL("ws://host/chat/?a=1").appending(path: "/g/1").target
                == "/chat/g/1?a=1")
    }
}
