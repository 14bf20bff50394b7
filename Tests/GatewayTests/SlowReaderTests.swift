import ChatModel
import Configuration
import GatewayTestSupport
import Glibc
import Telemetry
import TestKit
import TestTraits
import Testing

@testable import Gateway

@Suite("A slow reader", .ownThread)
struct SlowReaderTests {
    private let content = String(repeating: "m", count: 4000)

    @Test(
        "is closed with 1013 after whole frames, and fifty others miss nothing",
        arguments: [1, 3], [true, false])
    func closed(loops: Int, usesSendRing: Bool) throws {
        let node = try TestNode(loops: loops) { setup in
            setup.settings.usesSendRing = usesSendRing
            setup.live.limits.allowEverything()
            setup.live.limits.outboundBytes = 200_000
        }
        let slow = try node.peer("slow", receiveBytes: 131_072)
        let others = try (0..<50).map { try node.peer("user\($0 % 7)") }
        let author = try node.peer("author")
        try node.waitForConnections(52)
        var posted = 0
        while posted < 3000, try !node.hasLogged("slow reader closed") {
            for _ in 0..<20 { try author.send(ConversationsFrames.message(self.content)) }
            posted += 20
            try TestPeer.wait(for: "one's own messages", among: [author] + others) {
                ConversationsFrames.ids(of: author.texts).count == posted
            }
        }
        try #require(posted < 3000, "it was never closed")
        try TestPeer.wait(for: "everybody's messages", among: [author] + others) {
            others.allSatisfy { ConversationsFrames.ids(of: $0.texts).count == posted }
        }
        #expect(
            ([author] + others).allSatisfy {
                ConversationsFrames.ids(of: $0.texts) == Array(1...posted)
            })
        try TestPeer.wait(for: "the end", among: [slow]) { slow.isClosed }
        #expect(slow.closeEvent?.closeCode == 1013)
        let received = ConversationsFrames.ids(of: slow.texts)
        #expect(received == Array(1...received.count) && received.count < posted)
        try node.waitForConnections(51)
        // It resumes where it was.
        let again = try node.peer("slow", after: "\(received.count)")
        try TestPeer.wait(for: "the rest", among: [again]) {
            ConversationsFrames.ids(of: again.texts).count == posted - received.count
        }
        #expect(ConversationsFrames.ids(of: again.texts) == Array(received.count + 1...posted))
    }

    @Test("first gets no typing events, and loses no message")
    func ephemeral() throws {
        let node = try TestNode { setup in
            setup.live.limits.allowEverything()
            setup.live.limits.outboundBytes = 100_000_000
            setup.live.limits.ephemeralBytes = 50_000
        }
        let slow = try node.peer("slow", receiveBytes: 131_072)
        let author = try node.peer("author")
        try author.send(#"{"action":"typing","is_typing":true}"#)
        try TestPeer.wait(for: "typing", among: [slow]) {
            slow.texts.contains { $0.contains(#""typing""#) }
        }
        _ = slow.drainTexts()
        for _ in 0..<200 { try author.send(ConversationsFrames.message(self.content)) }
        try TestPeer.wait(for: "one's own messages", among: [author]) {
            ConversationsFrames.ids(of: author.texts).count == 200
        }
        for _ in 0..<5 {
            try author.send(#"{"action":"typing","is_typing":false}"#)
            try author.send(#"{"action":"typing","is_typing":true}"#)
        }
        try author.send(ConversationsFrames.message("the last one"))
        let metrics = try node.metrics("typing to be left out") {
            ($0.value(of: .messagesDropped, labels: ["reason": "slow_reader"]) ?? 0) >= 10
        }
        #expect(metrics.value(of: .connectionsClosed, labels: ["code": "1013"]) == nil)
        try TestPeer.wait(for: "all messages", among: [slow]) {
            ConversationsFrames.ids(of: slow.texts).count == 201
        }
        #expect(ConversationsFrames.ids(of: slow.texts) == Array(1...201))
        #expect(!slow.texts.contains { $0.contains(#""typing""#) })
        // After it has caught up it gets typing events again.
        try author.send(#"{"action":"typing","is_typing":false}"#)
        try TestPeer.wait(for: "typing", among: [slow]) {
            slow.texts.contains { $0.contains(#""typing""#) }
        }
    }

    @Test("gets a page as fast as it reads, and its next request is read after the page")
    func page() throws {
        let node = try TestNode { setup in
            setup.live.limits.allowEverything()
            setup.live.limits.outboundBytes = 100_000
            setup.live.limits.pageBytes = 4_000_000
        }
        try node.fill(100, bytes: 16_000)
        let author = try node.peer("author")
        let slow = try node.peer("slow", receiveBytes: 131_072)
        for number in 0..<3 {
            try slow.send(#"{"action":"fetch_messages","limit":100}"#)
            try slow.send(ConversationsFrames.message("behind page \(number)"))
        }
        // The pages have four megabytes. The messages after them are not posted before the first
        // page has been sent.
        #expect(throws: TestFailure.self) {
            try TestPeer.wait(for: "", among: [author], within: .milliseconds(300)) {
                !ConversationsFrames.ids(of: author.texts).isEmpty
            }
        }
        try TestPeer.wait(for: "pages and messages", among: [slow]) {
            ConversationsFrames.ids(of: slow.texts).count == 3
        }
        let pages = slow.texts.indices.filter {
            slow.texts[$0].hasPrefix(#"{"type":"messages_fetched""#)
        }
        let messages = slow.texts.indices.filter {
            ConversationsFrames.id(of: slow.texts[$0]) != nil
        }
        #expect(
            pages.count == 3 && messages.count == 3 && zip(pages, messages).allSatisfy { $0 < $1 })
        #expect(slow.closeEvent == nil)
    }

    @Test("that reads nothing of a requested page is closed after the idle timeout")
    func deadPage() throws {
        let node = try TestNode {
            $0.live.limits.allowEverything()
            $0.live.limits.pageBytes = 4_000_000
        }
        try node.fill(100, bytes: 16_000)
        // Not before: the author answers no pings, and would be closed if the machine stalled.
        var live = node.live
        live.limits.idle = .seconds(2)
        live.limits.ping = .seconds(1)
        node.gateway.reload(live)
        let dead = try node.peer("dead", receiveBytes: 131_072)
        try dead.send(#"{"action":"fetch_messages","limit":100}"#)
        let metrics = try node.metrics("it to be closed") {
            ($0.value(of: .connectionsClosed, labels: ["code": "1001"]) ?? 0) >= 1
        }
        #expect(metrics.value(of: .connectionsClosed, labels: ["code": "1013"]) == nil)
    }
}
