import Bytes
import ChatModel
import Cluster
import DialectKit
import EventLoop
import HTTPWire

/// An inbox that a connection hears from where its user left off.
struct InboxCursor {
    let token: SocketToken
    let feed: FeedID
    let key: ConversationKey
    /// The newest message that was written to the socket, and the one behind which the last ping went.
    var writtenThrough: SequenceNumber = 0
    var pingedThrough: SequenceNumber = 0
    var isPingPending = false

    /// What tells the ping from those that keep a connection alive.
    var pingPayload: [UInt8] { Array("inbox \(self.pingedThrough)".utf8) }
}

/// What is addressed to users and agents: each connection's session looks at it by itself.
extension LoopState {
    mutating func deliverToInbox(_ event: ChatEvent, to feed: FeedID) {
        guard case .posted(let message) = event, let key = self.subscribers[feed].key else {
            return
        }
        // Few: the connections of one user.
        for slot in self.subscribers[feed].groups.flatMap(\.live).map(Int.init) {
            guard case .webSocket(let talk)? = self.connections[slot]?.phase, !talk.hasSentClose
            else { continue }
            self.counters.delivered[talk.dialect + 1] &+= 1
            self.deliverInboxMessage(message, in: key, to: slot, talk)
        }
        self.wakeWaitingSubscribers(feed)
    }

    mutating func deliverInboxMessage(
        _ message: Message, in key: ConversationKey, to slot: Int, _ talk: WebSocketState
    ) {
        talk.session?.receivedInboxMessage(message, in: key, into: &self.steps)
        self.runSteps(slot, talk)
        guard self.isOccupied(slot), !talk.hasSentClose, self.inboxCursors[UInt32(slot)]?.key == key
        else { return }
        self.inboxCursors[UInt32(slot)]!.writtenThrough = message.sequence
        self.pingAfterMessages(slot)
    }

    /// One ping at a time: what is written meanwhile has the next one.
    private mutating func pingAfterMessages(_ slot: Int) {
        guard let inbox = self.inboxCursors[UInt32(slot)], !inbox.isPingPending,
            inbox.writtenThrough > inbox.pingedThrough
        else { return }
        self.inboxCursors[UInt32(slot)]!.pingedThrough = inbox.writtenThrough
        self.inboxCursors[UInt32(slot)]!.isPingPending = true
        let payload = self.inboxCursors[UInt32(slot)]!.pingPayload
        payload.withUnsafeBytes { self.sendFrame(slot, .ping, $0) }
    }

    /// A pong came: if it answers such a ping, what went before it has arrived, and no other connection gets it again.
    mutating func acknowledgeInbox(
        _ slot: Int, _ talk: WebSocketState, _ payload: UnsafeRawBufferPointer
    ) {
        guard let inbox = self.inboxCursors[UInt32(slot)], self.isCurrent(inbox.token),
            inbox.isPingPending,
            payload.elementsEqual(inbox.pingPayload),
            let user = talk.session?.principal?.person.id
        else { return }
        self.inboxCursors[UInt32(slot)]!.isPingPending = false
        self.chat.submit(
            .readThrough(inbox.pingedThrough, by: user), in: inbox.key, through: inbox.feed,
            context: nil, at: self.now)
        self.pingAfterMessages(slot)
    }
}
