import Bytes
import ChatCore
import ChatModel
import ChatSimulation
import EmbeddedStore

@testable import ChatEngine

/// The state of the cluster that tests inspect.
extension ThreeNodeCluster {
    /// Reconnects every loop to the store.
    func reconnectStore() {
        for loop in Self.loops { self.chats[loop]!.storeMayHaveLostData(at: self.clock) }
        self.runUntilIdle()
    }

    func recoveryCounts(of loop: LoopID) -> RecoveryCounts { self.chats[loop]!.recoveryCounts }

    func newestViewNumber(of loop: LoopID) -> Int { self.chats[loop]!.newestViewNumber }

    func counts(of loop: LoopID) -> (owned: Int, subscribed: Int, pending: Int) {
        self.chats[loop]!.counts
    }

    func ownedShards(of loop: LoopID) -> [ChatLoop.OwnedShard] { self.chats[loop]!.ownedShards }

    func deliveredThrough(_ subscriber: TestSubscriber) -> SequenceNumber {
        self.chats[subscriber.loop]!.deliveredThrough(subscriber.feed)
    }

    /// The deliveries of a loop since the last call.
    func takeDeliveries(on loop: LoopID) -> [String] {
        defer { self.deliveries[loop] = [] }
        return self.deliveries[loop] ?? []
    }

    /// The items from one loop to another since the last call.
    func takeItems(from: LoopID, to: LoopID) -> [String] {
        defer { self.sentItems[LoopPair(from: from, to: to)] = [] }
        return self.sentItems[LoopPair(from: from, to: to)] ?? []
    }

    /// The store requests of a loop since the last call.
    func takeStoreRequests(by loop: LoopID) -> [String] {
        defer { self.storeRequests[loop] = [] }
        return self.storeRequests[loop] ?? []
    }

    func clearRecords() {
        (self.deliveries, self.sentItems, self.storeRequests) = ([:], [:], [:])
    }
}

extension Envelope.Item {
    var changesMembers: Bool {
        guard case .input(let input) = self else { return false }
        switch input.input {
        case .command(.addMember), .command(.removeMember): return true
        default: return false
        }
    }
}
