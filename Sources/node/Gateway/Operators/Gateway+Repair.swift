public import ChatModel
import Cluster

/// Repairs of a conversation's stored state.
extension Gateway {
    private static let claimInterval = Duration.milliseconds(20)

    /// Repairs a conversation as its owner, under the owner's epoch, and lets the owner load it
    /// again. Nil if this node does not own it, or if there is no answer in time.
    public func repair(_ key: ConversationKey, within time: Duration) async -> StoreAnswer? {
        let loop = View.preferredLoop(of: key, loops: self.loopCount)
        guard let claim = await self.claim(key, on: loop, within: time) else { return nil }
        let answer = await self.request(loop, within: time) {
            (reply: @escaping @Sendable (StoreAnswer) -> Void) in
            LoopControlMessage.read(.repair(key, owner: claim.owner, epoch: claim.epoch), reply)
        }
        // Even without an answer, because the repair may be executed.
        self.post(.reload(key), to: loop)
        return answer
    }

    /// The epoch of the claim of a conversation's shard, which this node claims if it has not. Nil
    /// if it does not own the shard, or if the store does not answer in time.
    public func claim(_ key: ConversationKey, within time: Duration) async -> Int? {
        let loop = View.preferredLoop(of: key, loops: self.loopCount)
        return await self.claim(key, on: loop, within: time).map { Int($0.epoch) }
    }

    private func claim(_ key: ConversationKey, on loop: Int, within time: Duration) async -> (
        owner: LoopID, epoch: Epoch
    )? {
        let deadline = ContinuousClock.now + time
        while ContinuousClock.now < deadline {
            let claim = await self.request(loop, within: time) {
                (reply: @escaping @Sendable ((owner: LoopID, epoch: Epoch)?) -> Void) in
                LoopControlMessage.claim(key, reply)
            }
            if let claim = claim ?? nil { return claim }
            try? await Task.sleep(for: Self.claimInterval)
        }
        return nil
    }
}
