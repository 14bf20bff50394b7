import Bytes
import ChatModel
import Cluster
import Configuration
import Dispatch
import EventLoop
import Foundation
import GatewayTestSupport
import SeededRandom
import StoreTestSupport
import Synchronization
import Telemetry
import TestKit
import TestTraits
import Testing

@testable import Gateway

/// Blocks a loop in a tick, after the loop has read the clock.
private final class BlockingTickHandler: EventLoopHandler {
    private let hasEntered = Atomic(false)
    private let released = DispatchSemaphore(value: 0)

    var isBlocking: Bool { self.hasEntered.load(ordering: .acquiring) }

    func release() { self.released.signal() }

    func tick(now: MonotonicTime) {
        guard !self.hasEntered.exchange(true, ordering: .acquiringAndReleasing) else { return }
        self.released.wait()
    }

    func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {}
}

@Suite("Resuming", .ownThread)
struct ResumeTests {
    static func node(
        _ store: TestNode.EmbeddedStoreKind = .memory, loops: Int = 1, history: Int = 10_000
    ) throws -> TestNode {
        try TestNode(loops: loops, store: store, history: history) {
            $0.live.limits.allowEverything()
        }
    }

    /// A client that has joined. Its first frame is read only then: before the join, the message
    /// that it names might be posted.
    private static func resumedPeer(_ node: TestNode, after: String) throws -> TestPeer {
        let resumed = try node.peer("late", after: after)
        try resumed.send("?")
        try TestPeer.wait(for: "an answer", among: [resumed]) {
            resumed.texts.contains { $0.contains(#""error""#) }
        }
        return resumed
    }

    @Test(
        "continues after the named message, own messages included",
        arguments: TestNode.EmbeddedStoreKind.allCases,
        [("0", 1), ("1", 2), ("249", 250), ("250", 251)])
    func points(store: TestNode.EmbeddedStoreKind, _ point: (after: String, first: Int)) throws {
        let node = try Self.node(store, loops: 2)
        try node.fill(250)
        for user in ["reader", "author"] {
            let peer = try node.peer(user, after: point.after)
            try TestPeer.wait(for: "the replay", among: [peer]) {
                ConversationsFrames.ids(of: peer.texts).count == 251 - point.first
            }
            #expect(ConversationsFrames.ids(of: peer.texts) == Array(point.first..<251))
            #expect(!peer.texts.contains { $0.contains("error") })
        }
        let resumed = try Self.resumedPeer(node, after: point.after)
        let author = try node.peer("author")
        try author.send(ConversationsFrames.message("live"))
        try TestPeer.wait(for: "the live one", among: [resumed]) {
            ConversationsFrames.ids(of: resumed.texts).last == 251
        }
        #expect(ConversationsFrames.ids(of: resumed.texts) == Array(point.first...251))
    }

    @Test(
        "after a future message gets that message, however soon it is sent",
        arguments: TestNode.EmbeddedStoreKind.allCases)
    func ahead(store: TestNode.EmbeddedStoreKind) throws {
        let node = try Self.node(store, loops: 2)
        let author = try node.peer("author")
        for number in 1...200 {
            let resumed = try Self.resumedPeer(node, after: String(number))
            try author.send(ConversationsFrames.message("live"))
            try TestPeer.wait(for: "message \(number)", among: [resumed, author]) {
                ConversationsFrames.ids(of: resumed.texts).last == number
            }
        }
    }

    @Test(
        "with an invalid message id is an error that names the parameter, then live",
        arguments: ["", "-1", "abc", "01", "+1", "1.0", "9223372036854775808", "%201"])
    func badPoint(after: String) throws {
        let node = try Self.node()
        try node.fill(3)
        let peer = try node.peer("reader", after: after)
        #expect(
            try peer.next()
                == .text(
                    #"{"type":"error","action":"connect","error":"after: must be a message id"}"#))
        try peer.send(ConversationsFrames.message("live"))
        try TestPeer.wait(for: "the live one", among: [peer]) {
            !ConversationsFrames.ids(of: peer.texts).isEmpty
        }
        #expect(ConversationsFrames.ids(of: peer.texts) == [4])
    }

    @Test(
        "before the retained history reports the loss, then sends what is retained",
        arguments: TestNode.EmbeddedStoreKind.allCases)
    func truncated(store: TestNode.EmbeddedStoreKind) throws {
        let node = try Self.node(store, history: 100)
        try node.fill(250)
        for (after, isLost) in [("0", true), ("149", true), ("150", false), ("200", false)] {
            let peer = try node.peer("reader", after: after)
            let first = max(151, Int(after)! + 1)
            try TestPeer.wait(for: "the replay", among: [peer]) {
                ConversationsFrames.ids(of: peer.texts).last == 250
            }
            #expect(ConversationsFrames.ids(of: peer.texts) == Array(first...250))
            let errors = peer.texts.filter { $0.contains(#""error""#) }
            let truncated =
                #"{"type":"error","action":"connect","error":"history truncated","#
                + #""oldest_id":"151"}"#
            #expect(errors == (isLost ? [truncated] : []))
            if isLost {
                let index = try #require(peer.texts.firstIndex { $0.contains("truncated") })
                #expect(ConversationsFrames.ids(of: Array(peer.texts[..<index])).isEmpty)
            }
        }
    }

    @Test("reports messages that are trimmed during the replay")
    func truncatedMeanwhile() throws {
        let node = try Self.node(history: 100)
        try node.fill(100)
        node.store.close(.page)
        let peer = try node.peer("reader", after: "0")
        try Deadline.wait(for: "the replay to begin", untilTrue: { node.store.blockedCount == 1 })
        try node.fill(120)
        node.store.open()
        try TestPeer.wait(for: "the replay", among: [peer]) {
            ConversationsFrames.ids(of: peer.texts).last == 220
        }
        #expect(ConversationsFrames.ids(of: peer.texts) == Array(121...220))
        #expect(
            peer.texts.count { $0.contains(#""error":"history truncated","oldest_id":"121""#) } == 1
        )
    }

    @Test("a post that is repeated during the replay is answered in its position, once")
    func repeatedSend() throws {
        let node = try Self.node()
        let author = try node.peer("author")
        for number in 1...5 {
            try author.send(ConversationsFrames.message("\(number)", as: "id \(number)"))
        }
        try TestPeer.wait(for: "five messages", among: [author]) {
            ConversationsFrames.ids(of: author.texts).last == 5
        }
        node.store.close(.page)
        let back = try node.peer("author", after: "0")
        try Deadline.wait(for: "the replay to begin", untilTrue: { node.store.blockedCount == 1 })
        node.store.stopBlocking()
        try back.send(ConversationsFrames.message("4", as: "id 4"))
        try Deadline.wait(
            for: "the owner to look it up", untilTrue: { node.store.passed(.page) == 1 })
        try author.send(ConversationsFrames.message("6"))
        try TestPeer.wait(for: "the sixth", among: [author]) {
            ConversationsFrames.ids(of: author.texts).last == 6
        }
        node.store.open()
        try TestPeer.wait(for: "the replay", among: [back]) {
            ConversationsFrames.ids(of: back.texts).last == 6
        }
        #expect(ConversationsFrames.ids(of: back.texts) == Array(1...6))
    }

    /// Another owner takes over the room and stores messages of which the node is not notified.
    private static func storeElsewhere(_ count: Int, _ node: TestNode) async throws {
        let key = ConversationKey(tenant: "default", id: "room")
        let other = LoopID(incarnation: 99, loop: 0)
        var owner = TestOwner(
            key: key, id: other, epoch: await node.store.claim(key.shard, by: other))
        let loaded = try #require(await node.store.load(key))
        owner.revision = loaded.revision
        owner.head = loaded.head
        let writes = (1...count).map { _ in
            owner.head += 1
            let body = MessageBody(
                author: TestOwner.person("ann"), clientMessageID: nil, content: "elsewhere",
                metadata: nil)
            return owner.write(
                .message(
                    Message(
                        sequence: owner.head, revision: owner.revision + 1, sentAt: WallClock.now,
                        body: body)))
        }
        #expect(await node.store.write(writes, by: owner) == .stored)
        // A client can receive a message from another node only some time after it was sent, not in
        // the same millisecond.
        try Self.awaitNextMoment()
    }

    /// Waits until the wall clock shows another time than now.
    private static func awaitNextMoment() throws {
        let now = WallClock.now
        try Deadline.wait(for: "the clock to advance", untilTrue: { WallClock.now > now })
    }

    /// Waits until the loop that is not blocked has accepted and read all earlier connections.
    ///
    /// Each loop accepts its connections in order. One of these requests reaches the running loop,
    /// which answers a second one only in a later turn than the first.
    private static func awaitRunningLoop(of node: TestNode) throws {
        let request = "GET /nothing HTTP/1.1\r\nHost: here\r\n\r\n"
        let streams = try (0..<16).map { _ in
            let stream = try ByteStream(port: node.port)
            try stream.send(request)
            return stream
        }
        let answered = try Deadline.wait(for: "the running loop to answer") {
            streams.first { (try? $0.peek(atLeast: 1, within: .zero)) != nil }
        }
        #expect(try HTTPReply(from: answered).status == 404)
        try answered.send(request)
        #expect(try HTTPReply(from: answered).status == 404)
    }

    @Test(
        "on a node that was suspended while another was the owner begins where the client was"
    )
    func stalledNode() async throws {
        let node = try Self.node()
        try node.fill(10)
        try await Self.storeElsewhere(20, node)

        let peer = try node.peer("author", after: "25")
        try peer.send(ConversationsFrames.message("here again"))

        try TestPeer.wait(for: "its own message", among: [peer]) {
            ConversationsFrames.ids(of: peer.texts).last == 31
        }
        #expect(ConversationsFrames.ids(of: peer.texts) == Array(26...31))
    }

    /// A loop gets a connection in the turn in which it was suspended. It knows only the time
    /// before the suspension.
    @Test("on a node that was suspended within a turn begins where the client was", .long)
    func stalledTurn() async throws {
        let node = try Self.node(loops: 2)
        try node.fill(10)
        let home = View.preferredLoop(of: ConversationKey(tenant: "default", id: "room"), loops: 2)
        let author = try node.conversationClient("author")
        let blocker = BlockingTickHandler()
        let loop = node.gateway.loops[home]
        loop.execute { loop.registerHandler(blocker) }
        try Deadline.wait(for: "the loop to sleep", untilTrue: { blocker.isBlocking })
        try Self.awaitNextMoment()
        try await Self.storeElsewhere(20, node)
        // The owner knows this user as a member, so it has no reason to query the store. Half of
        // the connections are accepted by the other loop and handed over.
        let streams = try (0..<8).map { _ in
            let stream = try ByteStream(port: node.port)
            try RawWebSocketClient.requestUpgrade(
                TestNode.path("author", in: "room", after: "25"), port: node.port, on: stream)
            return stream
        }
        try Self.awaitRunningLoop(of: node)
        blocker.release()
        let readers = try streams.map {
            ConversationClient(try RawWebSocketClient(upgradeRequestedOn: $0))
        }
        try author.sendMessage("here again")

        for reader in readers {
            for number in 26...31 {
                #expect(try reader.next("chat_message").object("message")?["id"] == "\(number)")
            }
        }
    }

    @Test("is paced: a client far behind is not a slow reader")
    func paced() throws {
        let node = try TestNode { setup in
            setup.live.limits.allowEverything()
            setup.live.limits.outboundBytes = 100_000
        }
        try node.fill(1000, bytes: 4000)
        let slow = try node.peer("slow", after: "0", receiveBytes: 131_072)
        // Messages in the meantime are not sent to it live.
        let author = try node.peer("author")
        for number in 1001...1100 {
            try author.send(ConversationsFrames.message(String(repeating: "y", count: 4000)))
            try TestPeer.wait(for: "one's own message", among: [author]) {
                ConversationsFrames.ids(of: author.texts).last == number
            }
        }
        try TestPeer.wait(for: "everything", among: [slow]) {
            ConversationsFrames.ids(of: slow.texts).last == 1100
        }
        #expect(ConversationsFrames.ids(of: slow.texts) == Array(1...1100))
        #expect(slow.closeEvent == nil)
    }

    @Test("that cannot read the store closes with 1013, so that the client tries again")
    func unreadable() throws {
        let node = try Self.node()
        try node.fill(10)
        node.store.fail(.page)
        let peer = try node.peer("reader", after: "5")
        try TestPeer.wait(for: "the end", among: [peer]) { peer.closeEvent != nil }
        #expect(peer.closeEvent?.closeCode == 1013)
        node.store.fail()
        let again = try node.peer("reader", after: "5")
        try TestPeer.wait(for: "the replay", among: [again]) {
            ConversationsFrames.ids(of: again.texts) == Array(6...10)
        }
    }

    @Test(
        "at a store that has lost messages closes with 1013, and reports nothing as truncated",
        arguments: ["5", "5&rev=6"])
    func lostMessages(after: String) throws {
        let node = try Self.node()
        // Its arrival is an earlier change than those that the store has lost.
        let reader = try node.peer("reader")
        try node.fill(10)
        try TestPeer.wait(for: "the messages", among: [reader]) {
            ConversationsFrames.ids(of: reader.texts).last == 10
        }
        node.store.replaceAnswers(
            to: .page, by: .page(MessagePage(messages: [], head: 4, oldest: 1, revision: 7)))
        let peer = try node.peer("reader", after: after)
        try TestPeer.wait(for: "the end", among: [peer]) { peer.closeEvent != nil }
        #expect(peer.closeEvent?.closeCode == 1013)
        #expect(!peer.texts.contains { $0.contains("truncated") })
        node.store.replaceAnswers(to: .page, by: nil)
        let again = try node.peer("reader", after: after)
        try TestPeer.wait(for: "the replay", among: [again]) {
            ConversationsFrames.ids(of: again.texts) == Array(6...10)
        }
    }
}
