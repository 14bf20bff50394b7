import ChatCore
import ChatModel
import ChatSimulation
import EmbeddedStore
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

    @Test("offers a write that was stored before it rejoined, and answered afterwards")
    mutating func offersFormerWrites() throws {
        var limits = Limits()
        limits.retention = .seconds(60)
        self.chat = ChatLoop(id: .far, view: ThreeNodeCluster.view, limits: limits)
        let view = View(
            number: 9,
            nodes: [77, LoopID.near.incarnation].map { .init(incarnation: $0, loops: 1) })
        let key = ThreeNodeCluster.keys(1) { view.owner(of: $0) == .near }[0]
        var tables = MemoryTables(history: 0)
        self.chat.submit(
            .create(
                NewConversation(
                    .closed, creator: Principal(person: .alice, isAdmin: false),
                    members: [.alice])),
            in: key, context: 1, at: .sample(0))
        var write: (answer: StoreAnswer, ticket: StoreTicket)?
        while write == nil {
            self.chat.finishTurn(at: .sample(0))
            for (request, ticket) in self.chat.takeRequests() {
                let answer = tables.execute(request)
                if case .write = request {
                    write = (answer, ticket)
                } else {
                    self.chat.storeAnswered(answer, ticket: ticket, at: .sample(0))
                }
            }
        }
        _ = self.envelopesAfterRejoin(in: view)
        let (answer, ticket) = try #require(write)
        guard case .written(.stored) = answer else { preconditionFailure("not stored: \(answer)") }
        self.chat.storeAnswered(answer, ticket: ticket, at: .sample(3000))
        self.chat.storeMayHaveLostData(at: .sample(3000))
        self.chat.finishTurn(at: .sample(3000))
        let items = self.chat.takeEnvelopes().flatMap(\.items).map(\.summary)
        #expect(items.filter { $0.hasPrefix("offers") } == ["offers [1]", "offers [2]"])
    }
}
