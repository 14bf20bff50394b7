import HTTPWire
import Testing

@Suite("A client's reader of one response")
struct HTTPResponseReaderTests {
    /// The answer to a whole response, which is the same however the bytes are split.
    private func read(_ text: String, limit: Int = 1000, answersHead: Bool = false)
        -> (answer: HTTPResponseReader.Answer?, keepsAlive: Bool)
    {
        let bytes = Array(text.utf8)
        var results: [(HTTPResponseReader.Answer?, Bool)] = []
        for split in 0...bytes.count {
            var reader = HTTPResponseReader(byteLimit: limit, answersHead: answersHead)
            var result: (HTTPResponseReader.Answer?, Bool) = (nil, false)
            for part in [bytes[..<split], bytes[split...]] where result.0 == nil {
                if case .complete(let answer, let keepsAlive) = reader.receive(part) {
                    result = (answer, keepsAlive)
                }
            }
            results.append((result.0, result.1))
        }
        #expect(Set(results.map { "\(self.summary($0.0)) \($0.1)" }).count == 1)
        return results[0]
    }

    private func summary(_ answer: HTTPResponseReader.Answer?) -> String {
        switch answer {
        case .success(let response):
            "\(response.status) \(String(decoding: response.body, as: UTF8.self))"
        case .failure(let error): "\(error)"
        case nil: "more"
        }
    }

    @Test(
        "has status, fields and body, by length and in chunks",
        arguments: [
            "Content-Length: 5\r\n\r\nhello",
            "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
        ])
    func whole(_ rest: String) throws {
        let (answer, keepsAlive) = self.read("HTTP/1.1 200 OK\r\nRetry-After: 7\r\n\(rest)")
        let response = try #require(try answer?.get())
        #expect(response.status == 200 && response.body == Array("hello".utf8))
        #expect(response.field("retry-after") == "7" && response.field("etag") == nil)
        #expect(response.isDelimited && keepsAlive)
    }

    @Test("skips informational responses, and has no body after HEAD and for 204")
    func withoutBody() {
        let early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        #expect(self.summary(self.read("\(early)HTTP/1.1 204 No Content\r\n\r\n").answer) == "204 ")
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
        #expect(self.summary(self.read(head, answersHead: true).answer) == "200 ")
        #expect(self.summary(self.read(head).answer) == "more")
    }

    @Test("keeps no connection that the server closes")
    func closing() {
        let rest = "Content-Length: 0\r\n\r\n"
        #expect(!self.read("HTTP/1.1 200 OK\r\nConnection: close\r\n\(rest)").keepsAlive)
        #expect(self.read("HTTP/1.1 200 OK\r\n\(rest)").keepsAlive)
    }

    @Test("distinguishes no response, a cut one, and a body that ends with the connection")
    func ends() {
        func end(after text: String) -> String {
            var reader = HTTPResponseReader(byteLimit: 1000)
            guard case .incomplete = reader.receive(Array(text.utf8)[...]) else { return "early" }
            return self.summary(reader.end())
        }
        #expect(end(after: "") == "missing")
        #expect(end(after: "HTTP/1.1 200") == "malformed")
        #expect(end(after: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel") == "malformed")
        #expect(end(after: "HTTP/1.1 200 OK\r\n\r\nhel") == "200 hel")
    }

    @Test("fails for what is not HTTP, and at the limit of bytes")
    func failures() {
        #expect(self.summary(self.read("SSH-2.0-OpenSSH_9.2\r\n\r\n").answer) == "malformed")
        let long =
            "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + String(repeating: "x", count: 900)
        #expect(self.summary(self.read(long, limit: 900).answer) == "tooLong")
    }
}
