import Bytes
import ChatCore
import ChatEngine
import ChatModel
import DialectKit
import EngineTransport
import EventLoop

/// Lists for operators. Each call visits a limited number of slots, because the loop delivers
/// nothing meanwhile.
extension LoopState {
    /// The connections that a filter admits, from a slot on.
    ///
    /// - Parameter limit: the number of slots to visit.
    func connections(from start: Int, limit: Int, _ filter: ConnectionFilter) -> ConnectionSlice {
        var slice = ConnectionSlice()
        let count = self.pool.table.hot.count
        let end = min(start + limit, count)
        slice.next = end < count ? end : nil
        let numbers = filter.users.flatMap {
            self.bridge.users.numbers(lookingLike: $0, in: filter.tenant)
        }
        if numbers.isEmpty, !filter.users.isEmpty { return slice }
        for slot in start..<max(start, end) {
            let hot = self.pool.table.hot[slot]
            // Before the connection itself is read, which costs a cache miss.
            guard numbers.isEmpty || numbers.contains(hot.user),
                !filter.isSlowOnly || hot.pendingBytes > LoopStatistics.slowConnectionBytes,
                let connection = self.pool[UInt32(slot)], let webSocket = connection.webSocket,
                webSocket.content != .probe
            else { continue }
            slice.connections.append(self.report(of: connection, webSocket))
        }
        return slice
    }

    private func report(of connection: Connection, _ webSocket: WebSocketState) -> ConnectionReport
    {
        let hot = self.pool.table.hot[connection.slot]
        let now = self.context.now.monotonic
        let isPolling = hot.flags.contains(.isPolling)
        let idleTicks = Int64(self.context.tickNumber &- hot.lastReceivedTick)
        return ConnectionReport(
            id: ConnectionID(loop: self.context.index, token: connection.token),
            tenant: webSocket.session?.tenant, user: webSocket.session?.principal?.person.id,
            dialect: self.context.dialectName(webSocket), isPolling: isPolling,
            peer: connection.peer,
            conversationCount: webSocket.subscriptions.count { !$0.conversation.isInbox },
            pendingBytes: Int(hot.pendingBytes),
            traffic: isPolling ? nil : Socket(descriptor: hot.descriptor).traffic,
            roundTrip: self.roundTrip(of: connection, webSocket),
            openFor: max(0, now - webSocket.openedAt), idleFor: max(0, idleTicks * 100))
    }

    private func roundTrip(of connection: Connection, _ webSocket: WebSocketState) -> Int? {
        guard webSocket.content == .packets else { return webSocket.roundTrip }
        return self.engineIO?.server.roundTrip(connection.token)
    }

    /// A connection in full; nil if it is closed.
    ///
    /// - Parameter limit: how many conversations are listed.
    func details(of token: SocketToken, limit: Int) -> ConnectionDetails? {
        guard let connection = self.pool[token], let webSocket = connection.webSocket,
            webSocket.content != .probe
        else { return nil }
        let named = webSocket.subscriptions.lazy.filter { !$0.conversation.isInbox }
        return ConnectionDetails(
            report: self.report(of: connection, webSocket), isTLS: connection.tls != nil,
            isCompressed: webSocket.isCompressed, isReadingPaused: connection.isReadingPaused,
            unansweredCommands: Int(webSocket.unansweredCommandCount),
            expiresIn: webSocket.expiresAt == 0
                ? nil : max(0, webSocket.expiresAt - self.context.now.monotonic) / 1000,
            subscriptions: named.prefix(limit).map {
                ConnectionDetails.SubscribedConversation(
                    conversation: $0.conversation,
                    sentThrough: $0.catchUp?.sentThrough
                        ?? self.bridge.chat.deliveredThrough($0.feed),
                    isCatchingUp: $0.catchUp != nil)
            })
    }

    /// How many connections of this loop are subscribed to a conversation.
    func subscriberCount(of key: ConversationKey) -> Int {
        guard let feed = self.bridge.chat.feed(of: key), self.bridge.subscribers.isCurrent(feed)
        else { return 0 }
        return self.bridge.subscribers[feed].groups.reduce(0) {
            $0 + $1.live.count + $1.catchingUp.count
        }
    }
}
