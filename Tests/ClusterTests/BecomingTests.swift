import ChatCore
import ChatModel
import ChatSimulation
import Testing

@testable import Cluster

@Suite("A loop that is another from now on")
struct BecomingTests {
    private var chat: ChatLoop
    private let other = OwnerID(incarnation: 77, loop: 0)

    /// A loop on which alice has asked to come in; the owner hears nothing.
    init() {
        self.chat = ChatLoop(id: .near, view: Stage.view, limits: .init())
        let entrance = Entrance(actor: Actor(person: .alice, isAdmin: false), isListed: true, kind: .conversations)
        _ = self.chat.enter(Stage.keys(1)[0], entrance, context: 1, at: .sample(0))
        self.chat.settle(at: .sample(0))
        _ = self.chat.takeEnvelopes()
    }

    private mutating func envelopes(in view: View) -> [Envelope] {
        self.chat.tick(at: .sample(1000))
        self.chat.become(self.other, view: view, at: .sample(1000))
        self.chat.settle(at: .sample(1000))
        // Who waits for an owner asks again.
        self.chat.tick(at: .sample(3000))
        self.chat.settle(at: .sample(3000))
        return self.chat.takeEnvelopes()
    }

    @Test("sends nothing more as what it was, not even of the turn that it is in")
    mutating func sender() {
        let envelopes = self.envelopes(in: View(number: 9, nodes: [77, OwnerID.far.incarnation].map { .init(incarnation: $0, loops: 1) }))
        #expect(!envelopes.isEmpty)
        #expect(envelopes.allSatisfy { $0.from == self.other })
    }

    @Test("goes on where what it was is there once more")
    mutating func revenant() {
        let nodes: [View.Node] = [77, OwnerID.far.incarnation, OwnerID.near.incarnation].map { .init(incarnation: $0, loops: 1) }
        let envelopes = self.envelopes(in: View(number: 9, nodes: nodes))
        #expect(!envelopes.isEmpty)
        #expect(envelopes.allSatisfy { $0.from == self.other })
    }
}
