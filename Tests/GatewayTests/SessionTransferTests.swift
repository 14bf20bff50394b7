import Bytes
import ChatEngine
import ChatModel
import Cluster
import ConversationsDialect
import EventLoop
import GatewayTestSupport
import Identity
import RoomsDialect
import Synchronization
import TestKit
import TestTraits
import Testing

@testable import EngineIO
@testable import Gateway

/// Sessions that another node takes over with a WebSocket.
@Suite("A session that moves to another node", .ownThread)
struct SessionTransferTests {
    /// Another node, which records the replies that it gets.
    private final class RequestingNode: Relay {
        private let texts = Mutex<[String]>([])
        private let receiver = Mutex<(any RelayReceiver)?>(nil)

        func send(_ envelopes: [Envelope], from loop: Int) {}
        func send(_ message: RemoteLoopMessage, to node: UInt64, from sender: LoopID) {
            self.texts.withLock { $0.append(message.text) }
        }
        func viewMentioned(number: Int) {}
        func storePublishesWithWrite(of loop: Int) -> Bool { false }
        func publications(of news: [Envelope], from loop: Int) -> [Publication] { [] }

        func connect(to gateway: Gateway) {
            gateway.connectRelay { receiver, _ in
                self.receiver.withLock { $0 = receiver }
                return self
            }
        }

        func request(_ kind: String, _ number: UInt64, _ session: EngineSessionID, _ body: String) {
            self.receiver.withLock { $0 }?.receive(
                RemoteLoopMessage(to: 0, "ask \(kind) \(number) 0 \(session.text) -\n\(body)"),
                from: 7)
        }

        /// The kind and the body of the reply to a request; nil if there is none yet.
        func reply(to number: UInt64) -> Substring? {
            self.texts.withLock { texts in
                let prefix = "answer \(number) "
                return texts.first { $0.hasPrefix(prefix) }?.dropFirst(prefix.count)
            }
        }
    }

    /// A polling session on the first loop, whose user is a member of the room.
    private func session(in room: String, at node: TestNode) throws -> PollingClient {
        while true {
            let client = try PollingClient(port: node.port)
            guard client.sid.split(separator: ".").dropFirst().first == "0" else { continue }
            try client.connectNamespace(token: TestNode.token("bob"))
            try client.post(#"420["join_room",{"room_id":"\#(room)"}]"#)
            var packets: [String] = []
            while packets.last?.hasPrefix(#"42["offset","#) != true || packets.count < 3 {
                packets += try client.packets(1)
            }
            return client
        }
    }

    @Test("takes a message with it that its loop has received and not written yet")
    func undelivered() throws {
        let rooms = RoomsDialect(key: RecoveryKey(derivedFrom: TestNode.secret, cluster: "test"))
        let node = try TestNode(loops: 2, dialects: [rooms, ConversationsDialect()])
        let other = RequestingNode()
        other.connect(to: node.gateway)
        let room = try #require(
            (1...100).map { "room\($0)" }.first {
                View.preferredLoop(
                    of: ConversationKey(tenant: "default", id: .init($0)), loops: 2) == 1
            })
        let bob = try self.session(in: room, at: node)
        let ann = try node.conversationClient("ann", in: room)
        let sid = try #require(EngineSessionID(named: bob.sid))
        let probe: UInt64 = 1 << 63
        other.request("probe", probe, sid, "")
        try Deadline.wait(
            for: "the probe", untilTrue: { other.reply(to: probe) == "taken\n" })

        // The first loop waits until the owner's loop has sent it the message.
        let progress = Mutex((hasMessage: false, hasRequested: false))
        node.gateway.firstLoop.execute {
            try? Deadline.wait(
                for: "the message", untilTrue: { progress.withLock { $0.hasMessage } })
        }
        try ann.post("hello")
        // Executed after the loop has received the message, and before its turn ends.
        node.gateway.firstLoop.execute {
            other.request("take", probe + 1, sid, "\(probe)")
            progress.withLock { $0.hasRequested = true }
        }
        progress.withLock { $0.hasMessage = true }
        try Deadline.wait(
            for: "the first request", untilTrue: { progress.withLock { $0.hasRequested } })

        // The other node repeats its request until it gets a reply.
        let reply = try Deadline.wait(for: "the session") {
            if let reply = other.reply(to: probe + 1) { return reply }
            other.request("take", probe + 1, sid, "\(probe)")
            return nil
        }
        #expect(reply.hasPrefix("departed\n"))
        #expect(reply.contains(#""content":"hello""#), "\(reply)")
    }
}
