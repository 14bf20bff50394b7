import TestKit
import TestTraits
import Testing

/// Edits of one message while Redis does not answer.
@Suite("An edit while Redis stalls", .programs, .long, .serialized, .ownThread)
struct StalledEditTests {
    private static let rounds = 5

    /// A connection of the message's author. It has at most one edit without an answer.
    private final class EditingClient {
        private let client: ConversationClient
        private var content = ""
        /// The newest state of the message that the connection has received.
        private(set) var shown = (rev: 0, content: "")

        init(_ node: ConfabServer) throws {
            self.client = try node.connect("ann")
        }

        func post(_ content: String) throws { try self.client.post(content) }

        func beginEdit(_ content: String) throws {
            self.content = content
            try self.client.send(
                #"{"action":"edit_message","message_id":"1","content":"\#(content)"}"#)
        }

        /// Waits for the answer: an error, or the edited message. A later edit may have replaced
        /// this one before the answer; then it repeats a state that the connection has.
        func awaitAnswer() throws {
            while true {
                let frame = try self.client.next()
                if frame["type"] == "error", frame["action"] == "edit_message" {
                    #expect(["refused", "unknown"].contains(frame["outcome"]), "\(frame)")
                    return
                }
                let isRepeated = self.record(frame).map { !$0 } ?? false
                if frame["type"] == "message.edited",
                    isRepeated || frame.object("message")?["content"] == self.content
                {
                    return
                }
            }
        }

        func awaitState(_ rev: Int) throws {
            while self.shown.rev < rev { _ = self.record(try self.client.next()) }
        }

        /// Returns whether a frame shows a later state of the message; nil if it shows none.
        private func record(_ frame: JSONObject) -> Bool? {
            guard frame["type"] == "message.edited", let message = frame.object("message"),
                let rev = message.number("rev").map({ Int($0) }), let content = message["content"]
            else { return nil }
            guard rev > self.shown.rev else { return false }
            self.shown = (rev, content)
            return true
        }
    }

    private func message(at node: ConfabServer) throws -> (rev: Int, content: String) {
        let message = try #require(try node.connect("reader").history().first)
        return (Int(message.number("rev") ?? 0), message["content"] ?? "")
    }

    @Test(
        "of the same message by others is answered, and all clients and the store agree",
        arguments: 1...2)
    func agreement(nodeCount: Int) throws {
        let redis = try RedisServer()
        let nodes = try (1...nodeCount).map {
            try ConfabServer(["--store", redis.url, "--node-id", "n\($0)"])
        }
        try nodes[0].awaitShardBalance(of: nodeCount)
        let clients = try (0..<4).map { try EditingClient(nodes[$0 % nodeCount]) }
        try clients[0].post("one")
        for round in 1...Self.rounds {
            try redis.execute("CLIENT", "PAUSE", "2000", "ALL")
            // An edit whose outcome is unknown may still be stored, and then this one replaces it.
            for (number, client) in clients.enumerated() {
                try client.beginEdit("edit \(round) by \(number)")
            }
            for client in clients { try client.awaitAnswer() }
        }
        // It is stored after all edits whose outcome is unknown.
        for node in nodes { try node.awaitHealthy() }
        try clients[0].beginEdit("the last")
        try clients[0].awaitAnswer()
        let stored = try self.message(at: nodes[0])
        #expect(stored.content == "the last")
        for client in clients {
            try client.awaitState(stored.rev)
            #expect(client.shown == stored)
        }
        for node in nodes { #expect(try self.message(at: node) == stored) }
        // A new owner has only what is stored.
        for node in nodes { try node.crash() }
        let next = try ConfabServer(["--store", redis.url, "--node-id", "n3"])
        #expect(try self.message(at: next) == stored)
    }
}
