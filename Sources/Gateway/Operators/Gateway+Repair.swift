public import ChatModel
import Cluster

/// Repairs of a conversation's stored state.
extension Gateway {
    private static let claimInterval = Duration.milliseconds(20)

    /// Repairs a conversation as its owner, under the owner's epoch, and lets the owner load it
    /// again. Nil if this node does not own it, or if there is no answer in time.
    public func repair(_ key: ConversationKey, within time: Duration) async -> StoreAnswer? {
        let deadline = ContinuousClock.now + time
        let loop = View.preferredLoop(of: key, loops: self.loopCount)
        while ContinuousClock.now < deadline {
            let claim = await self.request(loop, within: time) {
                (reply: @escaping @Sendable ((owner: LoopID, epoch: Epoch)?) -> Void) in
                LoopControlMessage.claim(key, reply)
            }
            guard let claim = claim ?? nil else {
                try? await Task.sleep(for: Self.claimInterval)
                continue
            }
            let answer = await self.request(loop, within: time) {
                (reply: @escaping @Sendable (StoreAnswer) -> Void) in
                LoopControlMessage.read(
                    .repair(key, owner: claim.owner, epoch: claim.epoch), reply)
            }
            // Even without an answer, because the repair may be executed.
            self.post(.reload(key), to: loop)
            return answer
        }
        return nil
    }
}
