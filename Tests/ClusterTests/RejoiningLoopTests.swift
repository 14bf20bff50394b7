import ChatCore
import ChatModel
import ChatSimulation
import Testing

@testable import Cluster

@Suite("A loop that is another from now on")
struct RejoiningLoopTests {
    private var chat: ChatLoop
    private let newID = LoopID(incarnation: 77, loop: 0)

    /// A loop on which alice has asked to come in; the owner hears nothing.
    init() {
        self.chat = ChatLoop(id: .near, view: ThreeNodeCluster.view, limits: .init())
        let entrance = JoinRequest(
            principal: Principal(person: .alice, isAdmin: false), isListedInToken: true,
            kind: .conversations)
        _ = self.chat.subscribe(
            to: ThreeNodeCluster.keys(1)[0], with: entrance, context: 1, at: .sample(0))
        self.chat.finishTurn(at: .sample(0))
        _ = self.chat.takeEnvelopes()
    }

    private mutating func envelopesAfterRejoin(in view: View) -> [Envelope] {
        self.chat.tick(at: .sample(1000))
        self.chat.rejoin(as: self.newID, view: view, at: .sample(1000))
        self.chat.finishTurn(at: .sample(1000))
        // Who waits for an owner asks again.
        self.chat.tick(at: .sample(3000))
        self.chat.finishTurn(at: .sample(3000))
        return self.chat.takeEnvelopes()
    }

    @Test("sends nothing more as what it was, not even of the turn that it is in")
    mutating func sendsOnlyAsNewIncarnation() {
        let envelopes = self.envelopesAfterRejoin(
            in: View(
                number: 9,
                nodes: [77, LoopID.far.incarnation].map { .init(incarnation: $0, loops: 1) }))
        #expect(!envelopes.isEmpty)
        #expect(envelopes.allSatisfy { $0.from == self.newID })
    }

    @Test("goes on where what it was is there once more")
    mutating func oldIncarnationStillInView() {
        let nodes: [View.Node] = [77, LoopID.far.incarnation, LoopID.near.incarnation].map {
            .init(incarnation: $0, loops: 1)
        }
        let envelopes = self.envelopesAfterRejoin(in: View(number: 9, nodes: nodes))
        #expect(!envelopes.isEmpty)
        #expect(envelopes.allSatisfy { $0.from == self.newID })
    }
}
