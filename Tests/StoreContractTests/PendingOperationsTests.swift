import ChatModel
import EventLoop
import RedisClient
import Testing

@testable import RedisStore

@Suite("A write whose master has not said whether it has replicas")
struct PendingOperationsTests {
    private final class IgnoringStoreClient: StoreClient {
        func storeAnswered(_ answer: StoreAnswer, ticket: StoreTicket) {}
    }

    private static let slot = RedisSlot(7)

    private func claim(into deeds: inout PendingOperations) -> UInt64 {
        let asker = PendingCommand.StoreRequester(client: IgnoringStoreClient(), ticket: 1)
        let request = StoreRequest.claim(shard: 1, owner: LoopID(incarnation: 1, loop: 0), view: 1)
        let number = deeds.add(
            StoreOperation(
                requester: asker, request: request, deadline: MonotonicTime(nanoseconds: 0)))
        deeds[number]?.pendingCommandCount = 1
        deeds.deferConfirmation(
            number, StoreOperation.UnconfirmedWrite(slot: Self.slot, connection: nil))
        return number
    }

    @Test("is confirmed when it is answered and its master has")
    func confirmed() {
        var deeds = PendingOperations()
        let number = self.claim(into: &deeds)
        deeds[number]?.pendingCommandCount = 0
        #expect(deeds.removeIfComplete(number) == nil)
        #expect(deeds.awaitingReplicaCount == [number])
        #expect(deeds.dequeueUnconfirmed(of: number).map(\.slot) == [Self.slot])
        #expect(deeds.awaitingReplicaCount.isEmpty)
        #expect(deeds.removeIfComplete(number) != nil)
    }

    @Test(
        "is not forgotten when its slot goes to a master that has not, after the last had and before it was answered"
    )
    func movedSlot() {
        var deeds = PendingOperations()
        let number = self.claim(into: &deeds)
        // The master speaks while the write is under way; then the slot moves, and the write is answered.
        #expect(deeds.dequeueUnconfirmed(of: number).isEmpty)
        deeds[number]?.pendingCommandCount = 0
        #expect(deeds.removeIfComplete(number) == nil)
        // Whoever comes to know more, or loses patience, finds it.
        #expect(deeds.awaitingReplicaCount == [number])
        deeds.markUnconfirmed(number)
        #expect(deeds.removeIfComplete(number)?.failure == .unconfirmed)
        #expect(deeds.awaitingReplicaCount.isEmpty)
    }
}
