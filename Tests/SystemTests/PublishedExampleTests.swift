import Foundation
import TestKit
import TestTraits
import Testing

/// The document's examples have numbers from a conversation with 455 earlier messages, so the test
/// creates those first.
@Suite(
    "The published examples match exactly, except for times,", .programs,
    .published(.conversations), .ownThread)
struct PublishedExampleTests {
    /// The user of the examples, and another user.
    private struct ExampleSession {
        let john: any StockClient
        let other: any StockClient

        init(_ system: DeployedSystem, _ connect: (String) throws -> any StockClient) throws {
            let john = try system.path(to: "123", as: "789", name: "john_doe")
            // Each user sends fewer messages than the rate limit allows at once.
            for first in stride(from: 1, through: 455, by: 91) {
                let path =
                    first + 91 > 455 ? john : try system.path(to: "123", as: "filler-\(first)")
                let client = ConversationClient(try RawWebSocketClient(path, port: system.port))
                for number in first..<first + 91 {
                    try client.post(number == 455 ? "Previous message" : "message \(number)")
                }
                try client.socket.close()
            }
            let other = try system.path(to: "123", as: "other")
            // Until john's departure is announced, his return would not be announced either.
            try Deadline.wait(
                for: "john to be offline",
                untilTrue: {
                    let client = ConversationClient(
                        try RawWebSocketClient(other, port: system.port))
                    try client.send(#"{"action":"are you done?"}"#)
                    while true {
                        switch try client.next()["type"] {
                        case "user_status": return false
                        case "error": return true
                        default: continue
                        }
                    }
                })
            self.other = try connect(other)
            try self.other.synchronize()
            self.john = try connect(john)
        }
    }

    private func play(
        at deployment: Deployment, _ connect: (String, UInt16) throws -> any StockClient
    )
        throws
    {
        let examples = try PublishedDocument.conversations.objects(in: "javascript")
        let system = try DeployedSystem(deployment)
        let session = try ExampleSession(system) { try connect($0, system.port) }
        func request(_ action: String) throws -> String {
            let example = try #require(
                examples.first { $0["action"] == action }, "the document has no \(action)")
            return example.text.replacing("\n", with: " ")
        }
        /// Expects the documented frame as the next one of its type.
        func expect(_ type: String, by client: any StockClient) throws {
            let example = try #require(
                examples.first { $0["type"] == type }, "the document has no \(type)")
            let frame = try client.next(type)
            #expect(
                try Self.comparable(frame, to: example) == Self.comparable(example, to: example),
                "\(frame) is not as the document has it")
        }

        // The arrival of a user.
        try expect("user_status", by: session.other)
        // Sending: john's message has the number 456, and all members receive it as documented.
        try session.john.send(request("send_message"))
        try expect("chat_message", by: session.john)
        try expect("chat_message", by: session.other)
        try expect("message.status", by: session.john)
        try session.other.send(#"{"action":"send_message","content":"And 457"}"#)
        _ = try session.john.next("chat_message")
        // Typing, reading, history.
        try session.john.send(request("typing"))
        try expect("typing", by: session.other)
        try session.john.send(request("read"))
        try expect("read", by: session.john)
        try expect("read", by: session.other)
        try session.john.send(request("fetch_messages"))
        let page = try session.john.next("messages_fetched")
        let documentedPage = try #require(examples.first { $0["type"] == "messages_fetched" })
        #expect(page["conversation_id"] == documentedPage["conversation_id"])
        #expect(page.objects("messages")?.count == 20)
        let (first, second) = (
            try #require(page.objects("messages")?.first),
            try #require(documentedPage.objects("messages")?.first)
        )
        #expect(
            try Self.comparable(first, to: second) == Self.comparable(second, to: second))
        // These requests have no response, so the next frame answers another request.
        try session.john.send(request("heartbeat_ack"))
        try session.john.send(request("heartbeat"))
        // A failure contains the client's own id.
        let failing = try request("send_message").replacing("Hello!", with: " ")
        try session.john.send(failing)
        let failure = try session.john.next("message.failed")
        let documentedFailure = try #require(examples.first { $0["type"] == "message.failed" })
        #expect(failure["local_id"] == documentedFailure["local_id"])
        #expect(failure["error"]?.isEmpty == false)
        // The documented close codes.
        #expect(try Self.code(connect("/conversations/123/?token=nonsense", system.port)) == 4003)
        let elsewhere = try system.path(to: "123", as: "eve", conversations: ["124"])
        #expect(try Self.code(connect(elsewhere, system.port)) == 4004)
    }

    private static func code(_ client: any StockClient) throws -> UInt16? {
        while true {
            switch try client.next(within: Deadline.defaultTimeout) {
            case .close(let code, _): return code
            case .end: return nil
            default: continue
            }
        }
    }

    /// The object without values that differ in each run, and without `rev` and `username` if the
    /// document lacks them, because Confab adds them to the documented fields.
    private static func comparable(_ object: JSONObject, to example: JSONObject) throws -> String {
        let values = try [object, example].map {
            let text = $0.text.replacing(/"(timestamp|sent_at)"\s*:\s*"[^"]*"/) {
                "\"\($0.1)\":\"\""
            }
            return try JSONSerialization.jsonObject(with: Data(text.utf8))
        }
        let value = Self.withoutAdditions(values[0], to: values[1])
        return String(
            decoding: try JSONSerialization.data(withJSONObject: value, options: [.sortedKeys]),
            as: UTF8.self)
    }

    private static func withoutAdditions(_ value: Any, to documented: Any?) -> Any {
        guard let fields = value as? [String: Any] else { return value }
        let documented = documented as? [String: Any] ?? [:]
        return fields.filter { documented[$0.key] != nil || !["rev", "username"].contains($0.key) }
            .reduce(into: [:] as [String: Any]) {
                $0[$1.key] = Self.withoutAdditions($1.value, to: documented[$1.key])
            }
    }

    @Test(
        "with TestKit's and Python's clients", arguments: Deployment.usual,
        StockClientKind.allCases)
    func stock(_ deployment: Deployment, _ kind: StockClientKind) throws {
        try self.play(at: deployment) { try kind.connect($0, port: $1) }
    }

    @Test("with Chromium", arguments: Deployment.usual)
    func browser(_ deployment: Deployment) throws {
        let browser = try Browser()
        try self.play(at: deployment) { path, port in
            try BrowserClient(
                path, in: browser.open("http://127.0.0.1:\(port)/api/health"), port: port)
        }
    }
}

extension StockClient {
    /// The next message of this type; others are skipped.
    func next(_ type: String) throws -> JSONObject {
        let deadline = Deadline()
        while true {
            guard case .text(let frame) = try self.next(within: deadline.remaining) else {
                throw TestFailure("the connection ended before \(type)")
            }
            let event = try JSONObject(frame)
            if event["type"] == type { return event }
        }
    }

    /// Waits until the client is subscribed.
    func synchronize() throws {
        try self.send(#"{"action":"are you done?"}"#)
        _ = try self.next("error")
    }
}
