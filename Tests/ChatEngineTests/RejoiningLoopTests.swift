import ChatCore
import ChatModel
import ChatSimulation
import Testing

@testable import ChatEngine
@testable import Cluster

@Suite("A loop that rejoins under a new incarnation")
struct RejoiningLoopTests {
    private var chat: ChatLoop
    private let newID = LoopID(incarnation: 77, loop: 0)

    /// A loop on which alice has requested to join; the owner receives nothing.
    init() {
        self.chat = ChatLoop(id: .near, view: ThreeNodeCluster.view, limits: .init())
        let joinRequest = JoinRequest(
            principal: Principal(person: .alice, isAdmin: false), isListedInToken: true,
            template: .closed)
        _ = self.chat.subscribe(
            to: ThreeNodeCluster.keys(1)[0], with: joinRequest, context: 1, at: .sample(0))
        self.chat.finishTurn(at: .sample(0))
        _ = self.chat.takeEnvelopes()
    }

    private mutating func envelopesAfterRejoin(in view: View) -> [Envelope] {
        self.chat.tick(at: .sample(1000))
        self.chat.rejoin(as: self.newID, view: view, at: .sample(1000))
        self.chat.finishTurn(at: .sample(1000))
        // Requests without an answer are retried.
        self.chat.tick(at: .sample(3000))
        self.chat.finishTurn(at: .sample(3000))
        return self.chat.takeEnvelopes()
    }

    @Test("sends nothing under the old incarnation, not even from the current turn")
    mutating func sendsOnlyAsNewIncarnation() {
        let envelopes = self.envelopesAfterRejoin(
            in: View(
                number: 9,
                nodes: [77, LoopID.far.incarnation].map { .init(incarnation: $0, loops: 1) }))
        #expect(!envelopes.isEmpty)
        #expect(envelopes.allSatisfy { $0.from == self.newID })
    }

    @Test("works even if the old incarnation is in the view again")
    mutating func oldIncarnationStillInView() {
        let nodes: [View.Node] = [77, LoopID.far.incarnation, LoopID.near.incarnation].map {
            .init(incarnation: $0, loops: 1)
        }
        let envelopes = self.envelopesAfterRejoin(in: View(number: 9, nodes: nodes))
        #expect(!envelopes.isEmpty)
        #expect(envelopes.allSatisfy { $0.from == self.newID })
    }
}
