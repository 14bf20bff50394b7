import ChatModel
import Cluster
import Configuration
import GatewayTestSupport
import Identity
import RoomsDialect
import Synchronization
import TestKit
import Testing

@testable import EngineIO
@testable import Gateway

/// Mail between nodes may be lost: whoever carries a request asks again, and what was done once must not look otherwise for it.
@Suite("A carried request that is asked again")
struct ForwardedReplyTests {
    /// Another node, which keeps what it is told.
    private final class OtherNode: Relay {
        private let texts = Mutex<[String]>([])
        var replies: [String] { self.texts.withLock { $0 } }

        func send(_ envelopes: [Envelope], from loop: Int) {}
        func send(_ letter: RemoteLoopMessage, to node: UInt64, from sender: LoopID) {
            self.texts.withLock { $0.append(letter.text) }
        }
        func viewMentioned(number: Int) {}
        func storePublishesWithWrite(of loop: Int) -> Bool { false }
        func publications(of news: [Envelope], from loop: Int) -> [Publication] { [] }
    }

    @Test(
        "gets the first answer again, also when it has ended the session",
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
        node.gateway.connectRelay { told, _ in
            receiver.withLock { $0 = told }
            return other
        }
        let session = try PollingClient(port: node.port)
        let sid = try #require(EngineSessionID(named: session.sid))
        func ask(_ number: UInt64) {
            receiver.withLock { $0 }?.receive(
                RemoteLoopMessage(
                    to: 0, ForwardedMessage.encodeRequest(.post, number, from: 0, sid, body)),
                from: 7)
        }
        let first = ForwardedMessage.randomNumber()
        for count in 1...3 {
            ask(first)
            try Deadline.wait(for: "answer \(count)", untilTrue: { other.replies.count == count })
        }
        #expect(other.replies == Array(repeating: "answer \(first) \(answer)", count: 3))
        // Another request is another one.
        let second = ForwardedMessage.randomNumber()
        ask(second)
        try Deadline.wait(for: "the other's answer", untilTrue: { other.replies.count == 4 })
        #expect(
            other.replies[3] == "answer \(second) "
                + (body == "6" ? "taken\n" : "refused\n400 1 close"))
    }
}
