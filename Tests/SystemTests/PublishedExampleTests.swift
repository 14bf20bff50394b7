import Foundation
import TestKit
import Testing

/// The numbers in the document's examples are those of a conversation with 455 messages before: that is what they are tried in.
@Suite(
    "The published examples, letter by letter but for times",
    .enabled(if: PublishedDocument.conversations.exists))
struct PublishedExampleTests {
    /// What takes part: the user of the examples, and somebody else.
    private struct ExampleSession {
        let john: any StockClient
        let other: any StockClient

        init(_ site: DeployedSystem, _ connect: (String) throws -> any StockClient) throws {
            let john = try site.path(to: "123", as: "789", name: "john_doe")
            // Each of them sends less than a connection may at once.
            for first in stride(from: 1, through: 455, by: 91) {
                let talker = ConversationClient(try RawWebSocketClient(john, port: site.port))
                for number in first..<first + 91 {
                    try talker.post(number == 455 ? "Previous message" : "message \(number)")
                }
                try talker.socket.close()
            }
            let other = try site.path(to: "123", as: "other")
            // An absence that is not announced yet would hide that he comes again.
            try Deadline.wait(
                for: "john to be gone",
                untilTrue: {
                    let visitor = ConversationClient(try RawWebSocketClient(other, port: site.port))
                    try visitor.send(#"{"action":"are you done?"}"#)
                    while true {
                        switch try visitor.next()["type"] {
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

    private func play(at place: Deployment, _ connect: (String, UInt16) throws -> any StockClient)
        throws
    {
        let examples = try PublishedDocument.conversations.objects(in: "javascript")
        let site = try DeployedSystem(place)
        let scene = try ExampleSession(site) { try connect($0, site.port) }
        func request(_ action: String) throws -> String {
            let example = try #require(
                examples.first { $0["action"] == action }, "the document has no \(action)")
            return example.text.replacing("\n", with: " ")
        }
        /// What the document says that comes, in order.
        func expect(_ type: String, by client: any StockClient) throws {
            let example = try #require(
                examples.first { $0["type"] == type }, "the document has no \(type)")
            let frame = try client.next(type)
            #expect(
                try Self.comparable(frame) == Self.comparable(example),
                "\(frame) is not as the document has it")
        }

        // Somebody has come.
        try expect("user_status", by: scene.other)
        // Sending: john's message is number 456, and everybody hears it as the document has it.
        try scene.john.send(request("send_message"))
        try expect("chat_message", by: scene.john)
        try expect("chat_message", by: scene.other)
        try expect("message.status", by: scene.john)
        try scene.other.send(#"{"action":"send_message","content":"And 457"}"#)
        _ = try scene.john.next("chat_message")
        // Typing, reading, history.
        try scene.john.send(request("typing"))
        try expect("typing", by: scene.other)
        try scene.john.send(request("read"))
        try expect("read", by: scene.john)
        try expect("read", by: scene.other)
        try scene.john.send(request("fetch_messages"))
        let page = try scene.john.next("messages_fetched")
        let wanted = try #require(examples.first { $0["type"] == "messages_fetched" })
        #expect(page["conversation_id"] == wanted["conversation_id"])
        #expect(page.objects("messages")?.count == 20)
        let (first, second) = (
            try #require(page.objects("messages")?.first),
            try #require(wanted.objects("messages")?.first)
        )
        #expect(try Self.comparable(first) == Self.comparable(second))
        // No response is expected of these; what comes next is the answer to something else.
        try scene.john.send(request("heartbeat_ack"))
        try scene.john.send(request("heartbeat"))
        // A failure names the client's own id.
        let failing = try request("send_message").replacing("Hello!", with: " ")
        try scene.john.send(failing)
        let failure = try scene.john.next("message.failed")
        let shown = try #require(examples.first { $0["type"] == "message.failed" })
        #expect(failure["local_id"] == shown["local_id"])
        #expect(failure["error"]?.isEmpty == false)
        // The documented codes.
        #expect(try Self.code(connect("/conversations/123/?token=nonsense", site.port)) == 4003)
        let elsewhere = try site.path(to: "123", as: "eve", conversations: ["124"])
        #expect(try Self.code(connect(elsewhere, site.port)) == 4004)
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

    /// The object without what differs each time, and without the revision, which is added to the document's fields.
    private static func comparable(_ object: JSONObject) throws -> String {
        let text = object.text.replacing(/"(timestamp|sent_at)"\s*:\s*"[^"]*"/) {
            "\"\($0.1)\":\"\""
        }.replacing(/,"rev":[0-9]+/, with: "")
        let value = try JSONSerialization.jsonObject(with: Data(text.utf8))
        return String(
            decoding: try JSONSerialization.data(withJSONObject: value, options: [.sortedKeys]),
            as: UTF8.self)
    }

    @Test(
        "with our own client and with Python's", arguments: Deployment.allCases,
        StockClientKind.allCases)
    func stock(_ place: Deployment, _ kind: StockClientKind) throws {
        try self.play(at: place) { try kind.connect($0, port: $1) }
    }

    @Test("in Chromium", arguments: Deployment.allCases)
    func browser(_ place: Deployment) throws {
        let browser = try Browser()
        try self.play(at: place) { path, port in
            try BrowserClient(
                path, in: browser.open("http://127.0.0.1:\(port)/api/health"), port: port)
        }
    }
}

extension StockClient {
    /// The next message of this type; others on the way to it are left out.
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

    /// Waits until the client is inside and hears what is said.
    func synchronize() throws {
        try self.send(#"{"action":"are you done?"}"#)
        _ = try self.next("error")
    }
}
