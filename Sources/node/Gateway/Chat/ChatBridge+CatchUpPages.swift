import Bytes
import ChatEngine
import ChatModel
import DialectKit

/// Sends pages of missed messages and changes to subscribers that catch up.
extension ChatBridge {
    /// A page is sent in pieces of about this size, so that a connection that must close can close
    /// soon.
    private static let pieceBytes = 64 << 10

    /// Sends a page of missed messages.
    mutating func sendCatchUpPage(
        _ connection: Connection, _ webSocket: WebSocketState, _ index: Int, with page: MessagePage
    ) {
        let feed = webSocket.subscriptions[index].feed
        guard let state = webSocket.subscriptions[index].catchUp else { return }
        let deliveredThrough = self.chat.deliveredThrough(feed)
        // The page may be older than the newest delivered message, so only the position at the
        // request counts.
        let headAtRequest = state.feedHeadAtRequest ?? deliveredThrough
        // The feed will deliver the store's newer messages live. Messages below the page's end that
        // are not in the page are no longer retained.
        let messages = page.messages.prefix { $0.sequence <= deliveredThrough }
        let key = webSocket.subscriptions[index].conversation
        guard self.areNumbersKnown(messages, of: key, for: connection, webSocket, feed) else {
            return
        }
        if page.messages.first.map({ $0.sequence > state.sentThrough + 1 })
            ?? (state.sentThrough < headAtRequest)
        {
            webSocket.session?.historyTruncated(
                in: key, oldest: page.messages.first?.sequence ?? page.oldest, into: &self.steps)
            self.runSteps(connection, webSocket)
            guard connection.isConnected, !webSocket.hasSentClose else { return }
        }
        state.sentThrough = messages.last?.sequence ?? headAtRequest
        state.feedHeadAtRequest = nil
        self.sendMessages(
            messages, of: key, to: connection, webSocket, except: state.acknowledgedSends)
        guard connection.isConnected, connection.backlog.isEmpty else { return }
        self.queues.catchUp.append((connection.token, feed))
    }

    mutating func sendChanges(
        _ messages: [Message], of key: ConversationKey, to connection: Connection,
        _ webSocket: WebSocketState
    ) {
        self.pool.frames.removeAll()
        for message in messages {
            self.rendering.removeAll()
            for event in message.catchUpEvents {
                self.context.settings.dialects[webSocket.dialect].render(
                    event, in: key, into: &self.rendering)
            }
            for index in self.rendering.frames.indices {
                self.appendRenderedFrame(index, compress: webSocket.isCompressed)
            }
            if self.pool.frames.count >= Self.pieceBytes { self.sendEncodedFrames(connection) }
        }
        self.sendEncodedFrames(connection)
    }

    private mutating func sendMessages(
        _ messages: ArraySlice<Message>, of key: ConversationKey, to connection: Connection,
        _ webSocket: WebSocketState, except acknowledged: Set<SequenceNumber>
    ) {
        if key.isPersonalInbox {
            return messages.forEach {
                self.deliverInboxMessage($0, in: key, to: connection, webSocket)
            }
        }
        if webSocket.tracksDeliveries {
            return messages.forEach {
                self.sendTracked($0, in: key, to: connection, webSocket, except: acknowledged)
            }
        }
        self.pool.frames.removeAll()
        for message in messages {
            self.rendering.removeAll()
            self.context.settings.dialects[webSocket.dialect].render(
                .posted(message), in: key, into: &self.rendering)
            for index in self.rendering.frames.indices
            where self.receives(
                index, webSocket, isAcknowledged: acknowledged.contains(message.sequence))
            {
                self.appendRenderedFrame(index, compress: webSocket.isCompressed)
            }
            if self.pool.frames.count >= Self.pieceBytes { self.sendEncodedFrames(connection) }
        }
        self.sendEncodedFrames(connection)
        self.context.counters.delivered[webSocket.dialect + 1] &+= UInt64(messages.count)
    }

    /// Whether a rendered frame of a missed message is for the connection.
    ///
    /// - Parameter isAcknowledged: whether the message is the client's own, and was acknowledged
    ///   during the replay.
    private func receives(_ index: Int, _ webSocket: WebSocketState, isAcknowledged: Bool) -> Bool {
        let user = webSocket.session?.principal?.person.id
        return switch self.rendering.frames[index].audience {
        case .everybody: true
        case .others(let id): id != user
        case .only(let id): id == user
        case .otherConnections: !isAcknowledged
        }
    }

    /// Sends a missed message to a connection whose session tracks deliveries.
    private mutating func sendTracked(
        _ message: Message, in key: ConversationKey, to connection: Connection,
        _ webSocket: WebSocketState,
        except acknowledged: Set<SequenceNumber>
    ) {
        guard connection.isConnected, !webSocket.hasSentClose else { return }
        self.pool.frames.removeAll()
        self.rendering.removeAll()
        self.context.settings.dialects[webSocket.dialect].render(
            .posted(message), in: key, into: &self.rendering)
        for index in self.rendering.frames.indices
        where !self.rendering.frames[index].unlessTracked
            && self.receives(
                index, webSocket, isAcknowledged: acknowledged.contains(message.sequence))
        {
            self.appendRenderedFrame(index, compress: webSocket.isCompressed)
        }
        self.sendEncodedFrames(connection)
        self.context.counters.delivered[webSocket.dialect + 1] &+= 1
        webSocket.session?.delivered(message, in: key, into: &self.steps)
        self.runSteps(connection, webSocket, isPaced: true)
    }

    private mutating func sendEncodedFrames(_ connection: Connection) {
        guard !self.pool.frames.isEmpty else { return }
        if let webSocket = connection.webSocket, !webSocket.hasSentClose {
            self.chargeReplay(self.pool.frames.count, to: webSocket, connection)
            self.sendRequested(self.pool.frames.frame, to: connection, webSocket)
        }
        self.pool.frames.removeAll()
    }
}
