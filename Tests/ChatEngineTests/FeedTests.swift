import Bytes
import ChatCore
import ChatModel
import Testing

@testable import ChatEngine

@Suite("A feed")
struct FeedTests {
    private func feed(_ state: Feed.State = .live, at revision: Revision = 0) -> Feed {
        var feed = Feed(key: .numbered(1), owner: .far)
        feed.state = state
        feed.watermarks.revision = revision
        feed.watermarks.deliveredThrough = revision
        return feed
    }

    private func classify(_ revision: Revision, by feed: inout Feed) -> String {
        switch feed.classify(
            .posted(.sample(revision)), revision: revision,
            answering: RequestID(rawValue: UInt64(revision)))
        {
        case .deliver: "deliver"
        case .drop: "drop"
        case .deferred(startsRepair: true): "hold, repair"
        case .deferred(startsRepair: false): "hold"
        }
    }

    @Test("delivers the next change, drops delivered ones, and defers early ones")
    func classification() {
        var feed = self.feed(at: 5)
        #expect(
            (1...8).map { self.classify($0, by: &feed) } == [
                "drop", "drop", "drop", "drop", "drop", "deliver", "hold, repair", "hold, repair",
            ])
    }

    @Test("drops all events until the first join is answered, because the answer contains them")
    func opening() {
        var feed = self.feed(.opening(mustRepair: false))
        #expect(self.classify(1, by: &feed) == "drop")
        #expect(self.classify(7, by: &feed) == "drop")
        #expect(!feed.hasOutOfOrder)
    }

    @Test("defers even the next change during a repair, and starts no second repair")
    func repairing() {
        var feed = self.feed(.repairing(Feed.Repair()), at: 5)
        #expect(self.classify(5, by: &feed) == "drop")
        #expect(self.classify(6, by: &feed) == "hold")
        #expect(self.classify(9, by: &feed) == "hold")
    }

    @Test("starts a repair only when live, keeps one in progress, and returns its missed end")
    func repairState() {
        var opening = self.feed(.opening(mustRepair: true))
        opening.startRepair()
        #expect(opening.state.isOpening)
        #expect(opening.endRepair() == nil)

        var feed = self.feed(at: 5)
        feed.repair?.pendingAttach = 1
        #expect(!feed.awaitsAttach)
        feed.startRepair()
        feed.repair?.pendingAttach = 2
        feed.repair?.joinsAwaitingAttach = [3]
        feed.startRepair()
        #expect(feed.awaitsAttach)
        #expect(feed.repair?.takeJoinsAwaitingAttach() == [3])
        #expect(feed.repair?.joinsAwaitingAttach == [])

        let end = ConversationEnd(by: Person.bob.id, at: ClockReading.sample(0).wall)
        feed.repair?.missedEnd = end
        feed.repair?.attachedAtRevision = 8
        #expect(feed.endRepair() == end)
        #expect(feed.state.isLive)
        #expect(!feed.awaitsAttach)
        #expect(feed.watermarks.revision == 8)
    }

    @Test("delivers early changes when they are next")
    func outOfOrder() {
        var feed = self.feed(at: 5)
        for revision in [8, 7, 10] { _ = self.classify(revision, by: &feed) }
        #expect(feed.takeNextOutOfOrder() == nil)
        feed.recordDelivered(.posted(.sample(6)), revision: 6, at: .sample(0))
        for revision in [7, 8] {
            let next = feed.takeNextOutOfOrder()
            #expect(next?.answering == RequestID(rawValue: UInt64(revision)))
            feed.recordDelivered(next!.event, revision: revision, at: .sample(0))
        }
        #expect(feed.takeNextOutOfOrder() == nil)
        #expect(feed.hasOutOfOrder)
    }

    @Test(
        "defers an early message of another master that does not follow the last one"
    )
    func otherMastersHistory() {
        var feed = self.feed(at: 5)
        let revisions = 7...8
        for revision in revisions {
            _ = feed.classify(
                .posted(.sample(revision + 1)), revision: revision,
                answering: RequestID(rawValue: UInt64(revision)))
        }
        feed.recordDelivered(.posted(.sample(6)), revision: 6, at: .sample(0))
        #expect(feed.takeNextOutOfOrder() == nil)
        #expect(feed.hasOutOfOrder)
        // The repair has delivered the final history.
        feed.recordDelivered(.posted(.sample(9)), revision: 8, at: .sample(0))
        #expect(
            feed.takeOutOfOrder(through: 8).map(\.answering)
                == revisions.map { RequestID(rawValue: UInt64($0)) })
        #expect(!feed.hasOutOfOrder)
    }

    @Test(
        "limits early changes and drops the rest, which its repair reads from the store"
    )
    func outOfOrderLimit() {
        var feed = self.feed(.repairing(Feed.Repair()), at: 0)
        for revision in 2...(Feed.outOfOrderLimit + 20) {
            #expect(self.classify(revision, by: &feed) == "hold")
        }
        #expect(feed.outOfOrder.count == Feed.outOfOrderLimit)
        #expect(feed.outOfOrder.keys.max() == Feed.outOfOrderLimit + 1)
    }

    @Test("removes the early changes that a repair has covered, in order")
    func coveredByRepair() {
        var feed = self.feed(.repairing(Feed.Repair()), at: 0)
        for revision in [9, 3, 7, 5] { _ = self.classify(revision, by: &feed) }
        #expect(feed.takeOutOfOrder(through: 7).map(\.answering) == [3, 5, 7])
        #expect(Array(feed.outOfOrder.keys) == [9])
    }

    @Test("records what later changes are compared with")
    func recordsDelivered() {
        var feed = self.feed(at: 3)
        feed.recordDelivered(.posted(.sample(4)), revision: 4, at: .sample(0))
        #expect(feed.watermarks.deliveredThrough == 4)
        #expect(feed.watermarks.amendedThrough == 0)
        feed.recordDelivered(.edited(.sample(2)), revision: 5, at: .sample(0))
        #expect(feed.watermarks.deliveredThrough == 4)
        #expect(feed.watermarks.amendedThrough == 5)
        feed.recordDelivered(.deleted(.sample(1)), revision: 6, at: .sample(0))
        #expect(feed.watermarks.amendedThrough == 6)
        feed.recordDelivered(
            .ended(by: Person.bob.id, at: ClockReading.sample(0).wall), revision: 7, at: .sample(0))
        #expect(feed.isEnded)
        #expect(feed.watermarks.revision == 7)
    }

    @Test(
        "knows what a repair delivered: messages by number, amendments by revision, the end"
    )
    func deliveredByRepair() {
        var feed = self.feed(at: 10)
        feed.watermarks.recordRepaired(through: 20)
        let member = Member(
            user: Person.bob.id, name: "bob", role: .member, joinedAt: ClockReading.sample(0).wall)
        #expect(feed.hasDelivered(.posted(.sample(10)), revision: 30))
        #expect(!feed.hasDelivered(.posted(.sample(11)), revision: 12))
        #expect(feed.hasDelivered(.edited(.sample(3)), revision: 20))
        #expect(!feed.hasDelivered(.deleted(.sample(3)), revision: 21))
        #expect(!feed.hasDelivered(.joined(member), revision: 11))
        let end = ChatEvent.ended(by: Person.bob.id, at: ClockReading.sample(0).wall)
        #expect(!feed.hasDelivered(end, revision: 11))
        feed.isEnded = true
        #expect(feed.hasDelivered(end, revision: 11))
    }

    @Test(
        "removes the requests that wait for a message, or all of them")
    func deferredAnswers() {
        var feed = self.feed()
        feed.deferredAnswers = [
            .init(sequence: 4, request: 40), .init(sequence: 5, request: 50),
            .init(sequence: 4, request: 41),
        ]
        #expect(feed.takeDeferredAnswers(for: 3) == [])
        #expect(feed.takeDeferredAnswers(for: 4) == [40, 41])
        #expect(feed.takeDeferredAnswers(for: 4) == [])
        feed.deferredAnswers.append(.init(sequence: 9, request: 90))
        #expect(feed.takeDeferredAnswers(for: nil) == [50, 90])
        #expect(feed.deferredAnswers.isEmpty)
    }

    @Test("removes a page when it has caught up with it, or at its deadline")
    func waitingPages() {
        var feed = self.feed(at: 5)
        for (context, revision, deadline) in [(1, 5, 1000), (2, 6, 1000), (3, 9, 800)]
            as [(RequestContextID, Revision, Int64)]
        {
            var read = Feed.PageRequest(
                context: context, conversation: feed.key,
                request: .page(feed.key, .newest, limit: 10))
            read.page = MessagePage(messages: [], head: 0, oldest: 1, revision: revision)
            read.deadline = deadline
            feed.waitingPages.append(read)
        }
        #expect(feed.takeReleasablePages().map(\.context) == [1])
        feed.watermarks.revision = 6
        #expect(feed.takeReleasablePages().map(\.context) == [2])
        #expect(feed.takeReleasablePages(at: 799).map(\.context) == [])
        #expect(feed.takeReleasablePages(at: 800).map(\.context) == [3])
        #expect(feed.waitingPages.isEmpty)
    }

    @Test(
        "tells its owner the subscribers, pending joins and known online users, sorted"
    )
    func currentAttachment() {
        var feed = self.feed()
        for (person, connections) in [(Person.carol, 1), (.alice, 2), (.bob, 0)]
            as [(Person, Int32)]
        {
            feed.subscribers[person.id] = Feed.Subscriber(
                person: person, connections: connections, pendingJoins: 1)
        }
        for person in [Person.carol, .bob] { feed.knownOnline[person.id] = person }
        #expect(feed.currentAttachment.present == [.alice, .carol])
        #expect(feed.currentAttachment.joining == [.bob])
        #expect(feed.currentAttachment.knownOnline == [.bob, .carol])
        // In a crowd, the online users are unknown.
        feed.isCrowd = true
        #expect(feed.currentAttachment.knownOnline == [])
    }
}
