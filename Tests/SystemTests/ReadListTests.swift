import Foundation
import TestKit
import TestTraits
import Testing

/// The unread counts in lists consider what the user has read, regardless of which node answers.
@Suite("A message that a user has read", .programs, .ownThread)
struct ReadListTests {
    enum PersistentStore: CaseIterable { case sqlite, redis }

    /// A client of the Chats protocol.
    private struct ChatsReader {
        let socket: RawWebSocketClient

        init(_ user: String, at node: ConfabServer) throws {
            let token = try ConfabServer.token(for: user, conversations: ["talk"])
            self.socket = try RawWebSocketClient("/ws/chats/?token=\(token)", port: node.port)
        }

        func send(_ type: String, _ data: [String: Any]) throws {
            try self.socket.send(ProtocolAdapter.text(["type": type, "data": data]))
        }

        func awaitFrame(_ type: String) throws -> JSONObject {
            let deadline = Deadline()
            while true {
                guard case .text(let text) = try self.socket.next(within: deadline.remaining) else {
                    throw TestFailure("no \(type)")
                }
                let frame = try JSONObject(text)
                if frame["type"] == type { return frame }
            }
        }

        /// Marks the messages through this one as read and waits until that is stored. What other
        /// connections of the user have read is skipped.
        func markRead(through number: Int) throws {
            try self.send("markRead", ["chat": "talk", "last_read_message": number])
            var stored: Double?
            while stored != Double(number) {
                stored = try self.awaitFrame("messagesRead").object("data")?.number(
                    "last_read_message")
            }
        }

        func unread() throws -> Double? {
            try self.send("getChats", [:])
            return try self.awaitFrame("chatsList").objects("data")?.first?.number("unread_count")
        }
    }

    /// Servers that run one after the other on the same store.
    private final class RestartableNode {
        private let store: PersistentStore
        private let redis: RedisServer?
        private let folder = try? TemporaryFolder()
        private var startCount = 0

        init(_ store: PersistentStore) throws {
            self.store = store
            self.redis =
                store == .redis
                ? try RedisServer(["--appendonly", "yes", "--appendfsync", "always"]) : nil
        }

        /// Starts the first server, or the next one with the data of the earlier ones.
        func start() throws -> ConfabServer {
            self.startCount += 1
            guard let redis = self.redis else {
                return try ConfabServer(store: .sqlite, in: self.folder)
            }
            return try ConfabServer(["--store", redis.url, "--node-id", "n\(self.startCount)"])
        }
    }

    @Test(
        "is not unread in the next list, even after kill -9, in any protocol",
        arguments: TestRun.isLong ? PersistentStore.allCases : [.sqlite],
        TestRun.isLong ? ["chats", "conversations"] : ["chats"])
    func afterCrash(_ store: PersistentStore, _ dialect: String) throws {
        let restartable = try RestartableNode(store)
        let node = try restartable.start()
        let ann = try node.connect("ann", to: "talk")
        let bob = try ChatsReader("bob", at: node)
        try bob.send("joinChat", ["chat": "talk"])
        _ = try bob.awaitFrame("chatJoined")
        for number in 1...5 { try ann.post("message \(number)") }
        #expect(try bob.unread() == 5)
        if dialect == "chats" {
            try bob.markRead(through: 4)
        } else {
            let other = try node.connect("bob", to: "talk")
            try other.send(#"{"action":"read","message_ids":["4"]}"#)
            _ = try other.next("read")
        }
        #expect(try bob.unread() == 1)
        try bob.markRead(through: 5)
        try node.crash()
        let revived = try restartable.start()
        // A client is closed if the killed node's shards have no owner within five seconds.
        let unread = try Deadline.wait(for: "the list") {
            try? ChatsReader("bob", at: revived).unread()
        }
        #expect(unread == 0)
    }

    @Test(
        "is not unread at another node; nor is one deleted before", .long
    )
    func onAnotherNode() throws {
        let redis = try RedisServer()
        let nodes = try (1...2).map {
            try ConfabServer(["--store", redis.url, "--node-id", "n\($0)"])
        }
        try nodes[0].awaitShardBalance(of: 2)
        let ann = try nodes[0].connect("ann", to: "talk")
        let readers = try nodes.map { try ChatsReader("bob", at: $0) }
        try readers[0].send("joinChat", ["chat": "talk"])
        _ = try readers[0].awaitFrame("chatJoined")
        for number in 1...5 { try ann.post("message \(number)") }
        for (number, reader) in readers.enumerated() {
            let through = 1 + number
            try reader.markRead(through: through)
            for other in readers { #expect(try other.unread() == Double(5 - through)) }
        }
        try ann.send(#"{"action":"delete_message","message_id":"4"}"#)
        _ = try ann.next("message.deleted")
        for reader in readers { #expect(try reader.unread() == 2) }
    }
}
