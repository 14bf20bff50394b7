import ChatModel
import Cluster
import DialectKit
import EventLoop

/// Connections that get something of their own with each message stand apart from those that all get the same.
extension LoopState {
    /// When all deliveries of the turn have been handed out: only then a feed has shown no more than its listeners were sent.
    mutating func regroup() {
        guard !self.regroupQueue.isEmpty else { return }
        let tokens = self.regroupQueue
        self.regroupQueue = []
        for token in tokens where self.isCurrent(token) {
            let slot = Int(token.slot)
            guard case .webSocket(let talk) = self.connections[slot]!.phase, !talk.hasSentClose,
                let isPersonal = talk.session?.tracksDeliveries,
                isPersonal != talk.isPersonal
            else { continue }
            let places = self.moveSubscriptions(slot, talk, toPersonal: isPersonal)
            talk.isPersonal = isPersonal
            guard isPersonal else { continue }
            talk.session?.startedTrackingDeliveries(at: places, into: &self.steps)
            self.runSteps(slot, talk)
        }
    }

    /// - Returns: up to where the connection was sent messages, for each conversation that it hears.
    private mutating func moveSubscriptions(
        _ slot: Int, _ talk: WebSocketState, toPersonal isPersonal: Bool
    ) -> [(conversation: ConversationKey, through: SequenceNumber)] {
        var places: [(conversation: ConversationKey, through: SequenceNumber)] = []
        for index in talk.subscriptions.indices {
            let membership = talk.subscriptions[index]
            // In before out: an audience without listeners is forgotten.
            let place = self.subscribers.insert(
                UInt32(slot), into: membership.feed, key: membership.conversation,
                dialect: talk.dialect, isCompressed: talk.isCompressed,
                isPersonal: isPersonal, isLive: membership.catchUp == nil, reportedThrough: 0)
            self.removeSubscriber(membership, talk)
            talk.subscriptions[index].position = place
            places.append(
                (
                    membership.conversation,
                    membership.catchUp?.sentThrough ?? self.chat.deliveredThrough(membership.feed)
                ))
        }
        return places
    }
}
