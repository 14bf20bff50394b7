import Bytes
import ClientTestSupport
import ConfabClient
import Configuration
import Dialects
import Foundation
import Identity
import JSON
import Testing

@testable import LoadGenerator

@Suite("The Conversations protocol under load")
struct MemberFramesTests {
    private static let secret = Array("a secret of at least thirty-two bytes".utf8)

    private func dialect(_ adapter: LoadAdapter, url: String = "ws://127.0.0.1:1/chat")
        throws -> MemberFrames
    {
        var options = BenchOptions(.groups, urls: [url])
        options.adapter = adapter.name
        let expiry = Timestamp(milliseconds: 1_900_000_000_000)
        return MemberFrames(
            try LoadPlan(options, name: "run", adapters: DialectList.all.loadAdapters),
            signer: TokenSigner(secret: Self.secret),
            tokenExpiry: expiry)
    }

    @Test("joins each conversation with a token that lists it")
    func joining() throws {
        let url = try self.dialect(.conversations).url(member: 37, group: 3)
        #expect(url.path == "/chat/conversations/run-3/")
        let token = try #require(url.parameter("token"))
        let payload = try #require(
            Base64URL.decode(Array(token.utf8.split(separator: UInt8(ascii: "."))[1])))
        let claims = try JSONTree(parsing: String(decoding: payload, as: UTF8.self))
        #expect(claims["sub"] == .string("u37"))
        #expect(claims["conversations"] == .array([.string("run-3")]))
        #expect(claims["exp"] == .integer(1_900_000_000))
        #expect(try self.dialect(.raw).url(member: 37, group: 3).target == "/chat/g/run-3")
    }

    @Test("sends JSON as the protocol specifies")
    func publishing() throws {
        var text = ByteBuffer()
        let stamp = MessageStamp(group: 1, publisher: 0, number: 42, sentAt: 5)
        try self.dialect(.conversations).append(publishing: stamp, by: 9, in: 0, to: &text)
        let tree = try JSONTree(parsing: text.text)
        #expect(tree["action"] == .string("send_message"))
        #expect(tree["local_id"] == .string("9-42"))
        #expect(tree["content"]?.stringValue?.utf8.count == 128)
    }

    @Test(
        "recognises errors and rejected messages, and nothing else",
        arguments: [
            (
                #"""
                {"type":"message.failed","local_id":"1-1","error":"rate limited","retry_after":0.10}
                """#,
                true
            ),
            (#"{"type":"error","action":null,"error":"no"}"#, true),
            (
                #"""
                {"type":"user_status","user_id":"u1","status":"online",\#
                "timestamp":"2026-01-31T12:00:00.123Z"}
                """#,
                false
            ),
            (#"{"type":"heartbeat"}"#, false),
            (
                #"""
                {"type":"message.status","message_id":"1","status":"delivered",\#
                "timestamp":"2026-01-31T12:00:00.123Z"}
                """#,
                false
            ),
        ])
    func errors(frame: String, isError: Bool) throws {
        let dialect = try self.dialect(.conversations)
        let text = Array(frame.utf8).withUnsafeBytes { dialect.errorText(in: $0, to: 0, group: 0) }
        #expect((text != nil) == isError)
    }

    @Test("counts chat messages in any frame")
    func run() throws {
        let secretPath = NSTemporaryDirectory() + "confab-bench-secret-\(UUID().uuidString)"
        try Data(Self.secret).write(to: URL(fileURLWithPath: secretPath))
        defer { try? FileManager.default.removeItem(atPath: secretPath) }
        let server = try FanOutServer { text in
            guard let sent = try? JSONTree(parsing: text),
                let content = sent["content"]?.stringValue
            else { return text }
            return
                #"""
                {"type":"chat_message","message":{"id":"1","sender_id":"x",\#
                "content":"\#(content)","status":"sent"}}
                """#
        }
        defer { server.stop() }
        var options = BenchOptions(.groups, urls: [server.url])
        (options.connections, options.groups, options.rate, options.secretFile) = (
            6, 2, 200, secretPath
        )
        (options.settle, options.warmup, options.duration) = (.zero, .zero, .milliseconds(200))
        let report = try Benchmark.report(of: options, DialectList.all.loadAdapters)
        #expect(report.failures.descriptions == [])
        #expect(report.received == report.published * 3)
    }
}
