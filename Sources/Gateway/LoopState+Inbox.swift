import Bytes
import ChatModel
import Cluster
import DialectKit
import EventLoop
import HTTPWire

/// An inbox that a connection hears from where its user left off.
struct OpenInbox {
    let token: SocketToken
    let feed: FeedID
    let key: ConversationKey
    /// The newest message that was written to the socket, and the one behind which the last ping went.
    var written: SequenceNumber = 0
    var pinged: SequenceNumber = 0
    var isPingUnderWay = false

    /// What tells the ping from those that keep a connection alive.
    var payload: [UInt8] { Array("inbox \(self.pinged)".utf8) }
}

/// What is addressed to users and agents: each connection's session looks at it by itself.
extension LoopState {
    mutating func deliver(_ event: ChatEvent, to feed: FeedID) {
        guard case .posted(let message) = event, let key = self.audiences[feed].key else { return }
        // Few: the connections of one user.
        for slot in self.audiences[feed].groups.flatMap(\.live).map(Int.init) {
            guard case .webSocket(let talk)? = self.connections[slot]?.stage, !talk.hasSentClose else { continue }
            self.counters.delivered[talk.dialect + 1] &+= 1
            self.deliver(message, in: key, to: slot, talk)
        }
        self.wakeAwaiting(feed)
    }

    mutating func deliver(_ message: Message, in key: ConversationKey, to slot: Int, _ talk: WebSocketTalk) {
        talk.session?.received(message, in: key, into: &self.steps)
        self.runSteps(slot, talk)
        guard self.isThere(slot), !talk.hasSentClose, self.inboxes[UInt32(slot)]?.key == key else { return }
        self.inboxes[UInt32(slot)]!.written = message.sequence
        self.pingBehind(slot)
    }

    /// One ping at a time: what is written meanwhile has the next one.
    private mutating func pingBehind(_ slot: Int) {
        guard let inbox = self.inboxes[UInt32(slot)], !inbox.isPingUnderWay, inbox.written > inbox.pinged else { return }
        self.inboxes[UInt32(slot)]!.pinged = inbox.written
        self.inboxes[UInt32(slot)]!.isPingUnderWay = true
        let payload = self.inboxes[UInt32(slot)]!.payload
        payload.withUnsafeBytes { self.sendFrame(slot, .ping, $0) }
    }

    /// A pong came: if it answers such a ping, what went before it has arrived, and no other connection gets it again.
    mutating func settle(_ slot: Int, _ talk: WebSocketTalk, _ payload: UnsafeRawBufferPointer) {
        guard let inbox = self.inboxes[UInt32(slot)], self.isCurrent(inbox.token), inbox.isPingUnderWay,
            payload.elementsEqual(inbox.payload),
            let user = talk.session?.actor?.person.id
        else { return }
        self.inboxes[UInt32(slot)]!.isPingUnderWay = false
        self.chat.ask(.readThrough(inbox.pinged, by: user), in: inbox.key, through: inbox.feed, context: nil, at: self.now)
        self.pingBehind(slot)
    }
}
