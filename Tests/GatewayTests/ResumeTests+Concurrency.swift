import Configuration
import GatewayTestSupport
import SeededRandom
import Telemetry
import TestKit
import Testing

@testable import Gateway

/// Clients that connect, disconnect and resume while others post.
extension ResumeTests {
    /// A client that disconnects and resumes, and records the last message that it received.
    private struct GapCheckingReader {
        var peer: TestPeer?
        var lastID = 0
    }

    @Test(
        "has neither gap nor repetition while others post, connect and disconnect",
        arguments: [1, 2, 3], TestRun.isLong ? 0..<4 : 0..<2 as Range<UInt64>)
    func concurrent(loops: Int, seed: UInt64) throws {
        let node = try Self.node(seed % 2 == 0 ? .memory : .sqlite, loops: loops)
        var generator = SeededGenerator(seed: seed &* 31 &+ UInt64(loops))
        let writers = try (0..<3).map { try node.peer("writer\($0)", preventsHandoff: true) }
        var readers = [GapCheckingReader](repeating: GapCheckingReader(), count: 8)
        var posted = 0

        func readAvailable(_ index: Int) throws {
            guard let peer = readers[index].peer else { return }
            try peer.receiveNow()
            for id in ConversationsFrames.ids(of: peer.drainTexts()) {
                #expect(id == readers[index].lastID + 1, "reader \(index)")
                readers[index].lastID = id
            }
        }

        for _ in 0..<1500 {
            let index = Int.random(in: 0..<readers.count, using: &generator)
            switch Int.random(in: 0..<10, using: &generator) {
            case 0..<5:
                for _ in 0..<Int.random(in: 1...5, using: &generator) {
                    try writers.randomElement(using: &generator)!.send(
                        ConversationsFrames.message("\(posted)"))
                    posted += 1
                }
            case 5..<8:
                try readAvailable(index)
            default:
                try readAvailable(index)
                readers[index].peer =
                    readers[index].peer == nil
                    ? try node.peer(
                        "reader\(index)", after: "\(readers[index].lastID)",
                        preventsHandoff: index % 2 == 0) : nil
            }
        }
        for index in readers.indices where readers[index].peer == nil {
            readers[index].peer = try node.peer("reader\(index)", after: "\(readers[index].lastID)")
        }
        try TestPeer.wait(
            for: "everybody to have everything, \(readers.map(\.lastID)) of \(posted)",
            among: readers.map { $0.peer! } + writers
        ) {
            for index in readers.indices { try readAvailable(index) }
            return readers.allSatisfy { $0.lastID == posted }
        }
    }

    @Test(
        "has neither gap nor repetition if messages between loops are lost",
        arguments: 0..<3 as Range<UInt64>)
    func lostMessages(seed: UInt64) throws {
        let node = try TestNode(loops: 3) { setup in
            setup.live.limits.allowEverything()
            setup.settings.mailboxLimit = 1
        }
        var generator = SeededGenerator(seed: seed)
        // The connections stay on the loops that accepted them, so that most messages go from loop
        // to loop. A client whose join was lost too often connects again.
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
        var posted = 0
        for _ in 0..<60 {
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                try peers.randomElement(using: &generator)!.send(
                    ConversationsFrames.message("\(posted)"))
                posted += 1
            }
            if Bool.random(using: &generator) {
                try peers.randomElement(using: &generator)!.receiveNow()
            }
        }
        func state() -> (received: [Int], failed: Int) {
            (
                peers.map { ConversationsFrames.ids(of: $0.texts).last ?? 0 },
                peers.map { $0.texts.count { $0.contains("message.failed") } }.reduce(0, +)
            )
        }
        // A post that was lost for five seconds is reported as failed.
        try TestPeer.wait(
            for: "everybody to have everything, \(state()) of \(posted)", among: peers
        ) {
            let (received, failed) = state()
            return Set(received).count == 1 && received[0] + failed >= posted
        }
        #expect(
            peers.allSatisfy {
                ConversationsFrames.ids(of: $0.texts) == Array(1...state().received[0])
            })
        _ = try node.metrics("lost mail to be counted") {
            ($0.value(of: .messagesDropped, labels: ["reason": "mailbox_full"]) ?? 0) > 0
        }
    }
}
