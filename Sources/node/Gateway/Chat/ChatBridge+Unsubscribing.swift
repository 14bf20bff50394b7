import Bytes
import ChatCore
import ChatEngine
import ChatModel
import DialectKit
import EventLoop

/// Unsubscribes connections from conversations.
extension ChatBridge {
    /// Unsubscribes a connection from a conversation.
    mutating func unsubscribe(
        _ key: ConversationKey, _ connection: Connection, _ webSocket: WebSocketState
    ) {
        guard let index = webSocket.subscriptions.firstIndex(where: { $0.conversation == key }),
            let user = webSocket.session?.principal?.person.id
        else {
            return
        }
        let subscription = webSocket.subscriptions.remove(at: index)
        self.removeSubscriber(subscription, webSocket)
        self.chat.unsubscribe(from: subscription.feed, user: user)
        self.context.logLeft(connection, webSocket, key)
        if let state = subscription.catchUp { self.finishChanges(connection, webSocket, state) }
    }

    /// Unsubscribes the connections of a user who is no longer a member.
    mutating func removeMember(_ user: UserID, from feed: FeedID) {
        guard self.subscribers.isCurrent(feed), let key = self.subscribers[feed].key,
            let number = self.users.number(of: user, in: key.tenant)
        else { return }
        let slots = self.subscribers[feed].groups.flatMap { $0.live + $0.catchingUp }
        for slot in slots where self.pool.table.hot[Int(slot)].user == number {
            guard let (connection, webSocket) = self.pool.openWebSocket(at: slot) else { continue }
            self.unsubscribe(key, connection, webSocket)
            webSocket.session?.leftConversation(key, into: &self.steps)
            self.runSteps(connection, webSocket)
        }
    }

    mutating func unsubscribeAll(_ webSocket: WebSocketState, _ connection: Connection) {
        for pendingJoin in webSocket.pendingJoins {
            self.chat.cancelSubscribe(pendingJoin.request)
            // There will be no answer.
            _ = self.requestContexts.remove(pendingJoin.context)
        }
        webSocket.pendingJoins = []
        guard let user = webSocket.session?.principal?.person.id else { return }
        let subscriptions = webSocket.subscriptions
        webSocket.subscriptions = []
        for subscription in subscriptions {
            self.removeSubscriber(subscription, webSocket)
            self.chat.unsubscribe(from: subscription.feed, user: user)
        }
    }

    /// Removes a subscription from the index, and updates the position of the subscription that
    /// takes its place.
    mutating func removeSubscriber(
        _ subscription: WebSocketState.ConversationSubscription, _ webSocket: WebSocketState
    ) {
        let moved = self.subscribers.remove(
            from: subscription.feed, dialect: webSocket.dialect,
            isCompressed: webSocket.isCompressed,
            tracksDeliveries: webSocket.tracksDeliveries,
            isLive: subscription.catchUp == nil, position: subscription.position)
        // A delivery report may have waited for this connection only.
        self.queueReportIfDue(subscription.feed)
        guard let moved, let other = self.pool.connectionOrDropped(in: moved)?.webSocket,
            let index = other.subscriptions.firstIndex(where: { $0.feed == subscription.feed })
        else { return }
        other.subscriptions[index].position = subscription.position
    }
}
