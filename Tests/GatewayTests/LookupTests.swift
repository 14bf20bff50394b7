import Bytes
import ChatCore
import ChatEngine
import ChatModel
import Configuration
import EventLoop
import GatewayTestSupport
import RoomsDialect
import Telemetry
import TestKit
import TestTraits
import Testing

@testable import Gateway

@Suite("Lists for operators", .ownThread)
struct LookupTests {
    private static let time = Deadline.defaultTimeout

    /// All connections of a node, read in small slices.
    private func connections(
        of node: TestNode, _ filter: ConnectionFilter = ConnectionFilter()
    ) async throws -> [ConnectionReport] {
        var found: [ConnectionReport] = []
        for loop in 0..<node.gateway.loopCount {
            var start: Int? = 0
            while let slot = start {
                let slice = try #require(
                    await node.gateway.connections(
                        from: slot, limit: 3, of: loop, filter, within: Self.time))
                found += slice.connections
                start = slice.next
            }
        }
        return found
    }

    @Test("contain every WebSocket once, and no HTTP connection", arguments: [1, 3])
    func allConnections(loops: Int) async throws {
        let node = try TestNode(loops: loops)
        let peers = try (0..<20).map { try node.peer("user\($0)", in: "room\($0 % 4)") }
        let echo = try node.echo()
        let http = try ByteStream(port: node.port)
        try node.waitForConnections(22)
        let found = try await Deadline.waitAsync(for: "all subscriptions") {
            () async throws -> [ConnectionReport]? in
            let found = try await self.connections(of: node)
            return found.count { $0.conversationCount == 1 } == 20 ? found : nil
        }
        #expect(found.count == 21)
        #expect(Set(found.map(\.id)).count == 21)
        let users = found.compactMap { $0.user?.displayID.string }
        #expect(Set(users) == Set((0..<20).map { "user\($0)" }))
        let report = try #require(found.first { $0.user?.displayID == "user7" })
        #expect(report.dialect == "conversations" && report.tenant == "default")
        #expect(report.address.hasPrefix("127.0.0.1:") && !report.isPolling && !report.isSlow)
        #expect(report.roundTrip == nil && report.idleFor < 300_000)
        let traffic = try #require(report.traffic)
        #expect(traffic.receivedBytes > 100 && traffic.acknowledgedBytes > 100)
        #expect(found.first { $0.dialect == "echo" }?.user == nil)
        try echo.close()
        http.close()
        try node.waitForConnections(20)
        #expect(try await self.connections(of: node).count == 20)
        withExtendedLifetime(peers) {}
    }

    @Test("contain only the connections of one user, and only slow ones, if asked")
    func filters() async throws {
        let node = try TestNode(loops: 2)
        let peers = try ["ann", "ann", "bob", "cid"].enumerated().map {
            try node.peer($1, in: "room\($0)")
        }
        try node.waitForConnections(4)
        var filter = ConnectionFilter()
        filter.users = [UserID(tokenSubject: "ann"), UserID(anonymous: "ann")]
        #expect(try await self.connections(of: node, filter).count == 2)
        filter.tenant = "other"
        #expect(try await self.connections(of: node, filter).isEmpty)
        filter = ConnectionFilter()
        filter.isSlowOnly = true
        #expect(try await self.connections(of: node, filter).isEmpty)
        // A client that reads nothing, and gets more than the kernel buffers.
        let reader = try node.peer("dan", in: "flood", receiveBytes: 4096)
        let writer = try node.peer("eve", in: "flood")
        let text = String(repeating: "x", count: 3900)
        let found = try await Deadline.waitAsync(for: "a slow reader") {
            () async throws -> [ConnectionReport]? in
            for _ in 0..<20 { try writer.send(ConversationsFrames.message(text)) }
            let found = try await self.connections(of: node, filter)
            return found.contains { $0.user?.displayID == "dan" } ? found : nil
        }
        // The writer does not read either, and may be slow first.
        let users = Set(found.compactMap { $0.user?.displayID.string })
        #expect(users.isSubset(of: ["dan", "eve"]))
        #expect(found.allSatisfy { $0.isSlow && $0.pendingBytes > 64 << 10 })
        withExtendedLifetime((peers, reader)) {}
    }

    @Test("have a connection in full, by the id that the log has")
    func details() async throws {
        let node = try TestNode(loops: 2, logLevel: .debug)
        let ann = try node.conversationClient("ann", in: "room")
        try ann.post("one")
        let report = try #require(try await self.connections(of: node).first)
        #expect(
            try node.log("connection opened", atLeast: 1)[0]["connection"]
                == report.id.description)
        let id = try #require(ConnectionID(report.id.description))
        let answer = await node.gateway.connection(id, conversationLimit: 10, within: Self.time)
        let found = try #require(answer ?? nil)
        #expect(found.subscriptions.map(\.conversation.id.string) == ["room"])
        #expect(found.subscriptions[0].sentThrough == 1 && !found.subscriptions[0].isCatchingUp)
        #expect(!found.isTLS && found.unansweredCommands == 0)
        #expect(found.expiresIn.map { (3000...3600).contains($0) } == true)
        for text in ["0.0.0", "7.1.1", "0.4000000000.1"] {
            let id = try #require(ConnectionID(text))
            let answer = await node.gateway.connection(
                id, conversationLimit: 10, within: Self.time)
            guard case .some(nil) = answer else { throw TestFailure("\(text) is open") }
        }
        for text in ["", "1", "1.2", "1.2.3.4", "a.1.1", "1.-1.1", "1..1"] {
            #expect(ConnectionID(text) == nil, "\(text)")
        }
    }

    @Test("know the time from a ping to its pong")
    func roundTrip() async throws {
        let clock = StoppedClock(monotonic: 10_000)
        let node = try TestNode {
            $0.live.limits.ping = .milliseconds(100)
            $0.settings.readClocks = { clock.reading }
        }
        let peer = try node.peer("ann")
        // A pong before any ping is unsolicited.
        try peer.send(bytes: RawWebSocketClient.frame(opcode: 10, []))
        try peer.send("?")
        try TestPeer.wait(for: "the answer to what follows the pong", among: [peer]) {
            peer.texts.contains { $0.contains(#""error""#) }
        }
        clock.advance(milliseconds: 100)
        try TestPeer.wait(for: "a ping", among: [peer]) { peer.events.contains(.ping([])) }
        #expect(try await self.connections(of: node)[0].roundTrip == nil)
        clock.advance(milliseconds: 300)
        try peer.send(bytes: RawWebSocketClient.frame(opcode: 10, []))
        let roundTrip = try await Deadline.waitAsync(for: "a round trip") {
            try await self.connections(of: node)[0].roundTrip
        }
        #expect(roundTrip == 300)
    }

    @Test("contain polling sessions, without the bytes of a socket")
    func polling() async throws {
        let rooms = RoomsDialect(key: RecoveryKey(derivedFrom: TestNode.secret, cluster: "test"))
        let node = try TestNode(dialects: [rooms]) { $0.live.limits.allowEverything() }
        let client = try PollingClient(port: node.port)
        try client.connectNamespace(token: TestNode.token("ann"))
        let found = try await self.connections(of: node)
        #expect(found.count == 1)
        #expect(found[0].isPolling && found[0].traffic == nil && found[0].dialect == "rooms")
        #expect(found[0].user?.displayID == "ann")
    }

    @Test("contain the conversations that a loop owns, in slices", arguments: [1, 2])
    func conversations(loops: Int) async throws {
        let clock = StoppedClock(monotonic: 10_000)
        let node = try TestNode(loops: loops) { $0.settings.readClocks = { clock.reading } }
        let clients = try (0..<9).map { try node.conversationClient("ann", in: "room\($0)") }
        for (number, client) in clients.enumerated() {
            for _ in 0...number { try client.post("text") }
        }
        // The rate covers ten seconds, and half of the posts are still within them.
        clock.advance(milliseconds: 15_000)
        var heads: [String: Int] = [:]
        for loop in 0..<loops {
            var start: Int? = 0
            while let slot = start {
                let slice = try #require(
                    await node.gateway.ownedConversations(
                        from: slot, limit: 2, of: loop, within: Self.time))
                for row in slice.conversations {
                    heads[row.key.id.string] = row.summary.head
                    #expect(row.summary.memberCount == 1 && row.summary.presentCount == 1)
                    #expect(row.summary.record.origin == "conversations")
                    #expect(row.summary.retainedCount == row.summary.head)
                    #expect(row.summary.messagesPerSecond == Double(row.summary.head) / 20)
                }
                start = slice.next
            }
        }
        #expect(heads == Dictionary(uniqueKeysWithValues: (0..<9).map { ("room\($0)", $0 + 1) }))
    }

    @Test("have a conversation in full, and its connections")
    func conversation() async throws {
        let node = try TestNode(loops: 2)
        let ann = try node.conversationClient("ann")
        let again = try node.conversationClient("ann")
        let bob = try node.conversationClient("bob")
        try bob.post("one")
        let key = ConversationKey(tenant: "default", id: "room")
        let answer = await node.gateway.conversation(key, memberLimit: 5, within: Self.time)
        let found = try #require(answer ?? nil)
        #expect(found.summary.memberCount == 2 && found.summary.presentCount == 2)
        #expect(found.members.map(\.member.user.displayID.string) == ["ann", "bob"])
        #expect(found.members.allSatisfy { $0.loops.count == 1 })
        #expect(await node.gateway.subscriberCount(of: key, within: Self.time) == 3)
        let other = ConversationKey(tenant: "default", id: "elsewhere")
        #expect(await node.gateway.subscriberCount(of: other, within: Self.time) == 0)
        let missing = await node.gateway.conversation(other, memberLimit: 5, within: Self.time)
        guard case .some(nil) = missing else { throw TestFailure("elsewhere exists") }
        withExtendedLifetime((ann, again)) {}
    }
}
