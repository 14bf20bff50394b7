import Bytes
import ChatEngine
import ChatModel
import DialectKit
import EventLoop
import HTTPWire

/// How far the messages of an inbox have reached a connection that began at the user's read cursor.
struct InboxCursor {
    let token: SocketToken
    let feed: FeedID
    let key: ConversationKey
    /// The newest message that was written to the socket, and the one after which the last ping was
    /// sent.
    var writtenThrough: SequenceNumber = 0
    var pingedThrough: SequenceNumber = 0
    var isPingPending = false

    /// Distinguishes this ping from keepalive pings.
    var pingPayload: [UInt8] { Array("inbox \(self.pingedThrough)".utf8) }
}

/// Delivers messages that are addressed to users and agents. Each connection's session handles them
/// separately.
extension ChatBridge {
    mutating func deliverToInbox(_ event: ChatEvent, to feed: FeedID) {
        guard case .posted(let message) = event, let key = self.subscribers[feed].key else {
            return
        }
        // There are few: the connections of one user.
        let slots = self.subscribers[feed].groups.flatMap(\.live)
        self.queues.writings.append(
            MessageWriting(message, in: key, toSockets: slots.count))
        for slot in slots {
            guard let (connection, webSocket) = self.pool.openWebSocket(at: slot) else { continue }
            self.context.counters.delivered[webSocket.dialect + 1] &+= 1
            self.deliverInboxMessage(message, in: key, to: connection, webSocket)
        }
        self.wakeWaitingSubscribers(feed)
    }

    mutating func deliverInboxMessage(
        _ message: Message, in key: ConversationKey, to connection: Connection,
        _ webSocket: WebSocketState
    ) {
        webSocket.session?.receivedInboxMessage(message, in: key, into: &self.steps)
        self.runSteps(connection, webSocket)
        guard connection.isConnected, !webSocket.hasSentClose,
            self.inboxCursors[UInt32(connection.slot)]?.key == key
        else { return }
        self.inboxCursors[UInt32(connection.slot)]?.writtenThrough = message.sequence
        self.pingAfterMessages(connection)
    }

    /// Sends one ping at a time. The next ping covers the messages written since.
    private mutating func pingAfterMessages(_ connection: Connection) {
        guard var inbox = self.inboxCursors[UInt32(connection.slot)], !inbox.isPingPending,
            inbox.writtenThrough > inbox.pingedThrough
        else { return }
        inbox.pingedThrough = inbox.writtenThrough
        inbox.isPingPending = true
        self.inboxCursors[UInt32(connection.slot)] = inbox
        inbox.pingPayload.withUnsafeBytes { self.pool.sendFrame(connection, .ping, $0) }
    }

    /// Handles a pong. If it answers such a ping, the messages before the ping have arrived, and no
    /// other connection gets them again.
    ///
    /// - Returns: whether it answers such a ping.
    mutating func acknowledgeInbox(
        _ connection: Connection, _ webSocket: WebSocketState, _ payload: UnsafeRawBufferPointer
    ) -> Bool {
        guard let inbox = self.inboxCursors[UInt32(connection.slot)],
            inbox.token == connection.token,
            inbox.isPingPending,
            payload.elementsEqual(inbox.pingPayload),
            let user = webSocket.session?.principal?.person.id
        else { return false }
        self.inboxCursors[UInt32(connection.slot)]?.isPingPending = false
        self.chat.submit(
            .readThrough(inbox.pingedThrough, by: user), in: inbox.key, through: inbox.feed,
            context: nil, at: self.context.now)
        self.pingAfterMessages(connection)
        return true
    }
}
