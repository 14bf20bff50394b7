import ChatModel
import EventLoop
import RedisClient
import Testing

@testable import RedisStore

@Suite("A write whose master has not said whether it has replicas")
struct OpenDeedsTests {
    private final class Nobody: StoreClient {
        func storeAnswered(_ answer: StoreAnswer, ticket: StoreTicket) {}
    }

    private static let slot = RedisSlot(7)

    private func claim(into deeds: inout OpenDeeds) -> UInt64 {
        let asker = StoreCall.Asker(client: Nobody(), ticket: 1)
        let request = StoreRequest.claim(shard: 1, owner: OwnerID(incarnation: 1, loop: 0), view: 1)
        let number = deeds.add(StoreDeed(asker: asker, request: request, deadline: MonotonicTime(nanoseconds: 0)))
        deeds[number]?.commandsUnderWay = 1
        deeds.confirmLater(number, StoreDeed.Unconfirmed(slot: Self.slot, connection: nil))
        return number
    }

    @Test("is confirmed when it is answered and its master has")
    func confirmed() {
        var deeds = OpenDeeds()
        let number = self.claim(into: &deeds)
        deeds[number]?.commandsUnderWay = 0
        #expect(deeds.takeDone(number) == nil)
        #expect(deeds.undecided == [number])
        #expect(deeds.takeUnconfirmed(of: number).map(\.slot) == [Self.slot])
        #expect(deeds.undecided.isEmpty)
        #expect(deeds.takeDone(number) != nil)
    }

    @Test("is not forgotten when its slot goes to a master that has not, after the last had and before it was answered")
    func moved() {
        var deeds = OpenDeeds()
        let number = self.claim(into: &deeds)
        // The master speaks while the write is under way; then the slot moves, and the write is answered.
        #expect(deeds.takeUnconfirmed(of: number).isEmpty)
        deeds[number]?.commandsUnderWay = 0
        #expect(deeds.takeDone(number) == nil)
        // Whoever comes to know more, or loses patience, finds it.
        #expect(deeds.undecided == [number])
        deeds.giveUp(number)
        #expect(deeds.takeDone(number)?.failure == .unconfirmed)
        #expect(deeds.undecided.isEmpty)
    }
}
