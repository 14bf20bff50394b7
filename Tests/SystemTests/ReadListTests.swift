import Foundation
import TestKit
import Testing

/// Lists count from what their reader has read, whoever answers them.
@Suite("What somebody has read")
struct ReadListTests {
    enum Store: CaseIterable { case sqlite, redis }

    /// A connection of the Chats protocol.
    private struct Reader {
        let socket: WebSocketClient

        init(_ user: String, at node: ConfabServer) throws {
            let token = try ConfabServer.token(for: user, conversations: ["talk"])
            self.socket = try WebSocketClient("/ws/chats/?token=\(token)", port: node.port)
        }

        func send(_ type: String, _ data: [String: Any]) throws { try self.socket.send(Speaker.text(["type": type, "data": data])) }

        func hear(_ type: String) throws -> JSONObject {
            let deadline = Deadline()
            while true {
                guard case .text(let text) = try self.socket.next(within: deadline.rest) else { throw TestFailure("no \(type)") }
                let frame = try JSONObject(text)
                if frame["type"] == type { return frame }
            }
        }

        func unread() throws -> Double? {
            try self.send("getChats", [:])
            return try self.hear("chatsList").objects("data")?.first?.number("unread_count")
        }
    }

    /// Servers that stay while their store does.
    private final class Place {
        private let store: Store
        private let redis: RedisServer?
        private let folder = try? TemporaryFolder()
        private var starts = 0

        init(_ store: Store) throws {
            self.store = store
            self.redis = store == .redis ? try RedisServer(["--appendonly", "yes", "--appendfsync", "always"]) : nil
        }

        /// The first of them, or one that has what those before it left.
        func node() throws -> ConfabServer {
            self.starts += 1
            guard let redis = self.redis else { return try ConfabServer(store: .sqlite, in: self.folder) }
            return try ConfabServer(["--store", redis.url, "--node-id", "n\(self.starts)"])
        }
    }

    @Test(
        "in whatever protocol, is not unread in the next list, nor after a kill -9 right behind the answer", arguments: Store.allCases,
        ["chats", "conversations"])
    func killed(_ store: Store, _ dialect: String) throws {
        let place = try Place(store)
        let node = try place.node()
        let ann = try node.connect("ann", to: "talk")
        let bob = try Reader("bob", at: node)
        try bob.send("joinChat", ["chat": "talk"])
        _ = try bob.hear("chatJoined")
        for number in 1...5 { try ann.post("message \(number)") }
        #expect(try bob.unread() == 5)
        if dialect == "chats" {
            try bob.send("markRead", ["chat": "talk", "last_read_message": 4])
            _ = try bob.hear("messagesRead")
        } else {
            let other = try node.connect("bob", to: "talk")
            try other.send(#"{"action":"read","message_ids":["4"]}"#)
            _ = try other.next("read")
        }
        #expect(try bob.unread() == 1)
        try bob.send("markRead", ["chat": "talk", "last_read_message": 5])
        _ = try bob.hear("messagesRead")
        try node.crash()
        let revived = try place.node()
        #expect(try Reader("bob", at: revived).unread() == 0)
    }

    @Test("on one node is not unread in a list of another; nor is what was deleted before it was read")
    func elsewhere() throws {
        let redis = try RedisServer()
        let nodes = try (1...2).map { try ConfabServer(["--store", redis.url, "--node-id", "n\($0)"]) }
        try nodes[0].awaitBalance(of: 2)
        let ann = try nodes[0].connect("ann", to: "talk")
        let readers = try nodes.map { try Reader("bob", at: $0) }
        try readers[0].send("joinChat", ["chat": "talk"])
        _ = try readers[0].hear("chatJoined")
        for number in 1...5 { try ann.post("message \(number)") }
        for (number, reader) in readers.enumerated() {
            let through = 1 + number
            try reader.send("markRead", ["chat": "talk", "last_read_message": through])
            _ = try reader.hear("messagesRead")
            for other in readers { #expect(try other.unread() == Double(5 - through)) }
        }
        try ann.send(#"{"action":"delete_message","message_id":"4"}"#)
        _ = try ann.next("message.deleted")
        for reader in readers { #expect(try reader.unread() == 2) }
    }
}
