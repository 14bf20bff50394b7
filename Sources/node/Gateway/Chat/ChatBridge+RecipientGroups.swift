import ChatEngine
import ChatModel
import DialectKit
import EventLoop

/// Groups the connections whose sessions track deliveries separately from the others.
extension ChatBridge {
    /// Called after all deliveries of the turn: only then have subscribers been sent every message
    /// that their feed counts as delivered.
    mutating func regroup() {
        guard !self.queues.regroup.isEmpty else { return }
        let tokens = self.queues.regroup
        self.queues.regroup = []
        for token in tokens {
            guard let (connection, webSocket) = self.pool.openWebSocket(token),
                let tracksDeliveries = webSocket.session?.tracksDeliveries,
                tracksDeliveries != webSocket.tracksDeliveries
            else { continue }
            self.moveSubscriptions(connection, webSocket, tracksDeliveries: tracksDeliveries)
            webSocket.tracksDeliveries = tracksDeliveries
            guard tracksDeliveries else { continue }
            webSocket.session?.startedTrackingDeliveries(
                at: self.positions(of: webSocket), into: &self.steps)
            self.runSteps(connection, webSocket)
        }
    }

    private mutating func moveSubscriptions(
        _ connection: Connection, _ webSocket: WebSocketState, tracksDeliveries: Bool
    ) {
        for index in webSocket.subscriptions.indices {
            let subscription = webSocket.subscriptions[index]
            // Inserted before it is removed, because the index forgets a feed without subscribers.
            let position = self.subscribers.insert(
                UInt32(connection.slot), into: subscription.feed, key: subscription.conversation,
                dialect: webSocket.dialect, isCompressed: webSocket.isCompressed,
                tracksDeliveries: tracksDeliveries, isLive: subscription.catchUp == nil,
                reportedThrough: 0)
            self.removeSubscriber(subscription, webSocket)
            webSocket.subscriptions[index].position = position
        }
    }
}
