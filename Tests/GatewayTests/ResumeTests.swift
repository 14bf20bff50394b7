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
import Testing

@testable import Gateway

/// Holds a loop in one of its ticks, when its handler has looked at the clock.
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

@Suite("Resuming")
struct ResumeTests {
    private static func node(
        _ store: TestNode.StoreKind = .memory, loops: Int = 1, history: Int = 10_000
    ) throws -> TestNode {
        try TestNode(loops: loops, store: store, history: history) {
            $0.live.limits.allowEverything()
        }
    }

    /// Somebody who has come in: frames are read only then, and before that a point which is yet to come may have come.
    private static func resumedPeer(_ node: TestNode, after: String) throws -> TestPeer {
        let late = try node.peer("late", after: after)
        try late.send("?")
        try TestPeer.wait(for: "an answer", among: [late]) {
            late.texts.contains { $0.contains(#""error""#) }
        }
        return late
    }

    @Test(
        "goes on behind the message that is named, own messages too",
        arguments: TestNode.StoreKind.allCases,
        [("0", 1), ("1", 2), ("249", 250), ("250", 251)])
    func points(store: TestNode.StoreKind, _ point: (after: String, first: Int)) throws {
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
        let late = try Self.resumedPeer(node, after: point.after)
        let author = try node.peer("author")
        try author.send(ConversationsFrames.message("live"))
        try TestPeer.wait(for: "the live one", among: [late]) {
            ConversationsFrames.ids(of: late.texts).last == 251
        }
        #expect(ConversationsFrames.ids(of: late.texts) == Array(point.first...251))
    }

    @Test(
        "behind a message that is yet to be sent hears it, however soon it is sent",
        arguments: TestNode.StoreKind.allCases)
    func ahead(store: TestNode.StoreKind) throws {
        let node = try Self.node(store, loops: 2)
        let author = try node.peer("author")
        for number in 1...200 {
            let late = try Self.resumedPeer(node, after: String(number))
            try author.send(ConversationsFrames.message("live"))
            try TestPeer.wait(for: "message \(number)", among: [late, author]) {
                ConversationsFrames.ids(of: late.texts).last == number
            }
        }
    }

    @Test(
        "with what is no message id is an error that names it, and live from there",
        arguments: ["", "-1", "abc", "01", "+1", "1.0", "9223372036854775808", "%201"])
    func badPoint(after: String) throws {
        let node = try Self.node()
        try node.fill(3)
        let peer = try node.peer("reader", after: after)
        #expect(
            try peer.next()
                == .text(#"{"type":"error","action":"connect","error":"after: is no message id"}"#))
        try peer.send(ConversationsFrames.message("live"))
        try TestPeer.wait(for: "the live one", among: [peer]) {
            !ConversationsFrames.ids(of: peer.texts).isEmpty
        }
        #expect(ConversationsFrames.ids(of: peer.texts) == [4])
    }

    @Test(
        "behind what is kept says what is lost, then gives what there is",
        arguments: TestNode.StoreKind.allCases)
    func truncated(store: TestNode.StoreKind) throws {
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
            #expect(
                errors
                    == (isLost
                        ? [
                            #"{"type":"error","action":"connect","error":"history truncated","oldest_id":"151"}"#
                        ] : []))
            if isLost {
                let place = try #require(peer.texts.firstIndex { $0.contains("truncated") })
                #expect(ConversationsFrames.ids(of: Array(peer.texts[..<place])).isEmpty)
            }
        }
    }

    @Test("tells of what is lost while it is under way")
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

    @Test("a send that is repeated meanwhile is answered in its place, once")
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

    /// Another owner takes the room over and stores so many messages, of which the node hears nothing.
    private static func storeElsewhere(_ count: Int, _ node: TestNode) async throws {
        let key = ConversationKey(tenant: "default", id: "room")
        let other = LoopID(incarnation: 99, loop: 0)
        var scribe = TestOwner(
            key: key, id: other, epoch: await node.store.claim(key.shard, by: other))
        let loaded = try #require(await node.store.load(key))
        scribe.revision = loaded.revision
        scribe.head = loaded.head
        let writes = (1...count).map { _ in
            scribe.head += 1
            let body = MessageBody(
                author: TestOwner.person("ann"), clientMessageID: nil, content: "elsewhere",
                metadata: nil)
            return scribe.write(
                .message(
                    Message(
                        sequence: scribe.head, revision: scribe.revision + 1, sentAt: WallClock.now,
                        body: body)))
        }
        #expect(await node.store.write(writes, by: scribe) == .stored)
        // Nobody hears of a message and has come elsewhere in the millisecond in which it was sent.
        usleep(2000)
    }

    @Test(
        "at a node that slept while another was the owner begins where the client was, not where the node was"
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

    /// A loop that a connection is handed to in the turn in which it slept knows no time but that from before its sleep.
    @Test("at a node that slept in the middle of a turn begins where the client was, too")
    func stalledTurn() async throws {
        let node = try Self.node(loops: 2)
        try node.fill(10)
        let home = View.preferredLoop(of: ConversationKey(tenant: "default", id: "room"), loops: 2)
        let author = try node.conversationClient("author")
        let sleep = BlockingTickHandler()
        let loop = node.gateway.loops[home]
        loop.execute { loop.registerHandler(sleep) }
        try Deadline.wait(for: "the loop to sleep", untilTrue: { sleep.isBlocking })
        usleep(20_000)
        try await Self.storeElsewhere(20, node)
        // As a member whom the owner knows: it has no reason to ask the store. Half of them come to the other loop, which hands them over.
        let streams = try (0..<8).map { _ in
            let stream = try ByteStream(port: node.port)
            try RawWebSocketClient.requestUpgrade(
                TestNode.path("author", in: "room", after: "25"), port: node.port, on: stream)
            return stream
        }
        // Too short a time on a slow machine, and the test sees less.
        usleep(300_000)
        sleep.release()
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

    @Test("is paced: a long way behind is no slow reader")
    func paced() throws {
        let node = try TestNode { setup in
            setup.live.limits.allowEverything()
            setup.live.limits.outboundBytes = 100_000
        }
        try node.fill(1000, bytes: 4000)
        let slow = try node.peer("slow", after: "0", receiveBytes: 131_072)
        // Meanwhile others talk, which is not sent to it live.
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

    @Test("that cannot read the store is closed with 1013, to come again")
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

    /// A reader that comes and goes, and keeps what it has seen.
    private struct GapCheckingReader {
        var peer: TestPeer?
        var lastID = 0
    }

    @Test(
        "has neither gap nor repeat while others write, come and go", arguments: [1, 2, 3],
        0..<4 as Range<UInt64>)
    func concurrent(loops: Int, seed: UInt64) throws {
        let node = try Self.node(seed % 2 == 0 ? .memory : .sqlite, loops: loops)
        var chance = SeededGenerator(seed: seed &* 31 &+ UInt64(loops))
        let writers = try (0..<3).map { try node.peer("writer\($0)", preventsHandoff: true) }
        var readers = [GapCheckingReader](repeating: GapCheckingReader(), count: 8)
        var said = 0

        func take(_ place: Int) throws {
            guard let peer = readers[place].peer else { return }
            try peer.receiveNow()
            for id in ConversationsFrames.ids(of: peer.drainTexts()) {
                #expect(id == readers[place].lastID + 1, "reader \(place)")
                readers[place].lastID = id
            }
        }

        for _ in 0..<1500 {
            let place = Int.random(in: 0..<readers.count, using: &chance)
            switch Int.random(in: 0..<10, using: &chance) {
            case 0..<5:
                for _ in 0..<Int.random(in: 1...5, using: &chance) {
                    try writers.randomElement(using: &chance)!.send(
                        ConversationsFrames.message("\(said)"))
                    said += 1
                }
            case 5..<8:
                try take(place)
            default:
                try take(place)
                readers[place].peer =
                    readers[place].peer == nil
                    ? try node.peer(
                        "reader\(place)", after: "\(readers[place].lastID)",
                        preventsHandoff: place % 2 == 0) : nil
            }
        }
        for place in readers.indices where readers[place].peer == nil {
            readers[place].peer = try node.peer("reader\(place)", after: "\(readers[place].lastID)")
        }
        try TestPeer.wait(
            for: "everybody to have everything, \(readers.map(\.lastID)) of \(said)",
            among: readers.map { $0.peer! } + writers
        ) {
            for place in readers.indices { try take(place) }
            return readers.allSatisfy { $0.lastID == said }
        }
    }

    @Test(
        "has neither gap nor repeat where loops lose each other's mail",
        arguments: 0..<3 as Range<UInt64>)
    func lostMessages(seed: UInt64) throws {
        let node = try TestNode(loops: 3) { setup in
            setup.live.limits.allowEverything()
            setup.settings.mailboxLimit = 1
        }
        var chance = SeededGenerator(seed: seed)
        // Connections on whatever loop has taken them, so that most of what is said goes from loop to loop. Who was not let in
        // because the question was lost again and again comes again.
        func connect(_ user: String) throws -> TestPeer {
            try Deadline.wait(for: "a connection") {
                guard let peer = try? node.peer(user, after: "0", preventsHandoff: true) else {
                    return nil
                }
                try peer.send(bytes: RawWebSocketClient.frame(opcode: 9))
                try TestPeer.wait(for: "the door", among: [peer]) {
                    peer.isClosed || peer.closeEvent != nil || peer.events.contains(.pong([]))
                }
                return peer.isClosed || peer.closeEvent != nil ? nil : peer
            }
        }
        let peers = try (0..<9).map { try connect("user\($0)") }
        var said = 0
        for _ in 0..<60 {
            for _ in 0..<Int.random(in: 1...4, using: &chance) {
                try peers.randomElement(using: &chance)!.send(
                    ConversationsFrames.message("\(said)"))
                said += 1
            }
            if Bool.random(using: &chance) { try peers.randomElement(using: &chance)!.receiveNow() }
        }
        func state() -> (heard: [Int], failed: Int) {
            (
                peers.map { ConversationsFrames.ids(of: $0.texts).last ?? 0 },
                peers.map { $0.texts.count { $0.contains("message.failed") } }.reduce(0, +)
            )
        }
        // A send that was lost again and again for five seconds is said to have failed.
        try TestPeer.wait(for: "everybody to have everything, \(state()) of \(said)", among: peers)
        {
            let (heard, failed) = state()
            return Set(heard).count == 1 && heard[0] + failed >= said
        }
        #expect(
            peers.allSatisfy {
                ConversationsFrames.ids(of: $0.texts) == Array(1...state().heard[0])
            })
        _ = try node.metrics("lost mail to be counted") {
            ($0.value(of: .dropped, labels: ["reason": "mailbox_full"]) ?? 0) > 0
        }
    }
}
