import ChatModel
import EventLoop
import RedisClient
import TestTraits
import Testing

@testable import RedisStore

@Suite("A write to a master with an unknown id of replicas", .ownThread)
struct PendingOperationsTests {
    private final class IgnoringStoreClient: StoreClient {
        func storeAnswered(_ answer: StoreAnswer, ticket: StoreTicket) {}
    }

    private static let slot = RedisSlot(7)

    private func claim(into operations: inout PendingOperations) -> StoreOperationID {
        let requester = PendingCommand.StoreRequester(client: IgnoringStoreClient(), ticket: 1)
        let request = StoreRequest.claim(shard: 1, owner: LoopID(incarnation: 1, loop: 0), view: 1)
        let id = operations.add(
            StoreOperation(
                requester: requester, request: request, deadline: MonotonicTime(nanoseconds: 0)))
        operations[id]?.pendingCommandCount = 1
        operations.deferConfirmation(
            id, StoreOperation.UnconfirmedWrite(slot: Self.slot, connection: nil))
        return id
    }

    @Test("is confirmed when it has been answered and the id is known")
    func confirmed() {
        var operations = PendingOperations()
        let id = self.claim(into: &operations)
        operations[id]?.pendingCommandCount = 0
        #expect(operations.removeIfComplete(id) == nil)
        #expect(operations.awaitingReplicaCount == [id])
        #expect(operations.dequeueUnconfirmed(of: id).map(\.slot) == [Self.slot])
        #expect(operations.awaitingReplicaCount.isEmpty)
        #expect(operations.removeIfComplete(id) != nil)
    }

    @Test(
        "is not forgotten when its slot moves to another such master before it is answered"
    )
    func movedSlot() {
        var operations = PendingOperations()
        let id = self.claim(into: &operations)
        // The master reports its replicas while the write is in flight; then the slot moves, and
        // the write is answered.
        #expect(operations.dequeueUnconfirmed(of: id).isEmpty)
        operations[id]?.pendingCommandCount = 0
        #expect(operations.removeIfComplete(id) == nil)
        // The operation can still be found when more is known or its deadline has passed.
        #expect(operations.awaitingReplicaCount == [id])
        operations.markUnconfirmed(id)
        #expect(operations.removeIfComplete(id)?.failure == .unconfirmed)
        #expect(operations.awaitingReplicaCount.isEmpty)
    }
}
