import ChatEngine
import ChatModel
import Configuration
import DialectKit
import GatewayTestSupport
import Identity
import RoomsDialect
import Synchronization
import TestKit
import TestTraits
import Testing

@testable import EngineIO
@testable import Gateway

/// Messages between nodes may be lost. The requester repeats its request, and the repetition must
/// not have another effect or answer.
@Suite("A repeated forwarded request", .ownThread)
struct ForwardedReplyTests {
    /// Another node, which records the messages that it gets.
    private final class OtherNode: Relay {
        private let texts = Mutex<[String]>([])
        var replies: [String] { self.texts.withLock { $0 } }

        func send(_ envelopes: [Envelope], from loop: Int) {}
        func send(_ message: RemoteLoopMessage, to node: UInt64, from sender: LoopID) {
            self.texts.withLock { $0.append(message.text) }
        }
        func viewMentioned(number: Int) {}
        func storePublishesWithWrite(of loop: Int) -> Bool { false }
        func publications(of news: [Envelope], from loop: Int) -> [Publication] { [] }
    }

    @Test(
        "gets the first answer again, even if it has ended the session",
        arguments: [
            ("6", "taken\n"), ("1", "taken\n"), ("6\u{1E}1", "taken\n"), ("abc", "refused\n400 3"),
            ("", "refused\n400 3"),
            ("2", "refused\n400 3"),
        ])
    func repeated(body: String, answer: String) throws {
        let rooms = RoomsDialect(key: RecoveryKey(derivedFrom: TestNode.secret, cluster: "test"))
        let node = try TestNode(dialects: [rooms])
        let other = OtherNode()
        let receiver = Mutex<(any RelayReceiver)?>(nil)
        node.gateway.connectRelay { relayReceiver, _ in
            receiver.withLock { $0 = relayReceiver }
            return other
        }
        let session = try PollingClient(port: node.port)
        let sid = try #require(EngineSessionID(named: session.sid))
        func send(_ number: UInt64) {
            receiver.withLock { $0 }?.receive(
                RemoteLoopMessage(to: 0, "ask post \(number) 0 \(sid.text) -\n\(body)"), from: 7)
        }
        let first = UInt64.random(in: 1 << 63...UInt64.max)
        for count in 1...3 {
            send(first)
            try Deadline.wait(for: "answer \(count)", untilTrue: { other.replies.count == count })
        }
        #expect(other.replies == Array(repeating: "answer \(first) \(answer)", count: 3))
        // A request with another number is a new request.
        let second = UInt64.random(in: 1 << 63...UInt64.max)
        send(second)
        try Deadline.wait(for: "the other's answer", untilTrue: { other.replies.count == 4 })
        #expect(
            other.replies[3] == "answer \(second) "
                + (body == "6" ? "taken\n" : "refused\n400 1 close"))
    }

    /// Records the broadcasts that it gets.
    private final class RecordingDialect: Dialect {
        let name: StaticString = "recording"
        let upgradePaths: [PathPattern] = []
        private let texts = Mutex<[String]>([])
        var broadcasts: [String] { self.texts.withLock { $0 } }

        func open(_ request: DialectRequest) -> OpenResult? { nil }
        func render(
            _ event: ChatEvent, in conversation: ConversationKey, into rendering: inout Rendering
        ) {}
        func receiveBroadcast(_ text: String) { self.texts.withLock { $0.append(text) } }
    }

    @Test("does not concern a broadcast, which reaches the dialect that it names, on every node")
    func broadcast() throws {
        for others in [[], TestNode.allDialects] {
            let dialect = RecordingDialect()
            let node = try TestNode(dialects: others + [dialect])
            let other = OtherNode()
            node.gateway.connectRelay { receiver, _ in
                for text in ["word another\nlost", "word recording\na b"] {
                    receiver.receive(RemoteLoopMessage(to: 0, text), from: 7)
                }
                return other
            }
            try Deadline.wait(for: "the broadcast", untilTrue: { !dialect.broadcasts.isEmpty })
            #expect(dialect.broadcasts == ["a b"] && other.replies.isEmpty)
        }
    }
}
