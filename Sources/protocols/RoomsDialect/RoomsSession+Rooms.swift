import Bytes
public import ChatModel
public import DialectKit

/// The rooms of a connection, and the messages that the client has received in them.
extension RoomsSession {
    /// The maximum number of rooms of a connection.
    static let roomLimit = 1000

    /// A room that the connection has entered or is entering.
    struct Room {
        /// The last message delivered to the client. Up to date only while the session tracks
        /// deliveries: see `tracksDeliveries`.
        var deliveredThrough: SequenceNumber = 0
        /// Set until the state of the room has been delivered.
        var pendingJoin: PendingJoin?
        /// Whether this connection has asked to leave. Then the acknowledgement notifies it.
        var isLeaving = false

        /// Whether the client has received the state of the room. Only then can it resume there.
        var isStateDelivered: Bool { !(self.pendingJoin?.isFirstJoin ?? false) }
    }

    /// A pending `join_room`, the first or a repeated one.
    struct PendingJoin {
        /// The maximum number of acknowledgements of one join. More are not an error of a real
        /// client.
        static let ackLimit = 16

        let number: Int
        /// Whether the connection was not in the room before.
        let isFirstJoin: Bool
        /// The acknowledgement ids of the requests, and whether a request without one is pending.
        var ackIDs: [Int] = []
        var wantsEvent = false
        /// The details from the owner. When they are set, the messages are being read.
        var description: ConversationDetails?
        /// The newest messages delivered in the meantime. The page may have been read before them.
        private(set) var recentMessages: [Message] = []

        mutating func record(_ message: Message) {
            if self.recentMessages.count == RoomsSession.stateMessageLimit {
                self.recentMessages.removeFirst()
            }
            self.recentMessages.append(message)
        }
    }

    /// A client needs its own offsets if it is anonymous or in several rooms. During a join, the
    /// session must know which messages were delivered, so that the state neither misses nor
    /// repeats one.
    ///
    /// For all other clients the stored positions are out of date until `startedTrackingDeliveries`
    /// updates them.
    public var tracksDeliveries: Bool {
        switch self.rooms.count {
        case 0: false
        case 1: self.isAnonymous || self.rooms.values.first?.pendingJoin != nil
        default: true
        }
    }

    // MARK: Position of the client

    func sendOffset(into steps: inout SessionSteps) {
        var text = RoomOffset.notRecoverable
        let deliveredCount = self.rooms.values.count(where: \.isStateDelivered)
        if deliveredCount <= RoomOffset.roomLimit {
            let positions = self.rooms.filter(\.value.isStateDelivered).map {
                RoomOffset.RoomPosition(room: $0, through: $1.deliveredThrough)
            }
            text =
                RoomOffset(
                    anonymousUser: self.isAnonymous ? self.me?.person : nil,
                    positions: positions.sorted { $0.room < $1.room }
                ).text
        }
        steps.reply { $0.append(offset: text) }
    }

    public mutating func delivered(
        _ message: Message, in conversation: ConversationKey, into steps: inout SessionSteps
    ) {
        guard let index = self.rooms.index(forKey: conversation.id) else { return }
        self.rooms.values[index].deliveredThrough = message.sequence
        self.rooms.values[index].pendingJoin?.record(message)
        // A client with too many rooms cannot resume. It received that offset when it joined them.
        guard self.rooms.values[index].isStateDelivered, self.rooms.count <= RoomOffset.roomLimit
        else { return }
        self.sendOffset(into: &steps)
    }

    public mutating func startedTrackingDeliveries(
        at positions: [(conversation: ConversationKey, through: SequenceNumber)],
        into steps: inout SessionSteps
    ) {
        var hasChanged = false
        for (conversation, through) in positions {
            guard let index = self.rooms.index(forKey: conversation.id),
                self.rooms.values[index].deliveredThrough != through
            else { continue }
            self.rooms.values[index].deliveredThrough = through
            hasChanged = true
        }
        // While a join is pending, the offset follows the state of the room.
        guard hasChanged, self.rooms.values.allSatisfy({ $0.pendingJoin == nil }) else { return }
        self.sendOffset(into: &steps)
    }

    /// Broadcasts that the rooms of this session have changed, so that no node accepts an offset
    /// with the former rooms.
    ///
    /// - Parameter previousCount: the number of rooms before the change.
    func broadcastRooms(previousCount: Int, into steps: inout SessionSteps) {
        let maxCount = max(previousCount, self.rooms.count)
        guard let sid = self.sid, maxCount > 1,
            min(previousCount, self.rooms.count) <= RoomOffset.roomLimit
        else { return }
        let text = SessionRooms.broadcastText(sid, in: self.rooms.keys)
        self.context.sessionRooms.record(text)
        steps.append(.broadcast(text))
    }

    // MARK: Joining

    private mutating func recordDelivered(_ sequence: SequenceNumber, in room: ByteString) {
        guard let index = self.rooms.index(forKey: room),
            self.rooms.values[index].deliveredThrough < sequence
        else { return }
        self.rooms.values[index].deliveredThrough = sequence
    }

    /// Whether an answer belongs to the pending join and not to an earlier one.
    func isCurrentJoin(_ room: ByteString, _ tag: RequestTag) -> Bool {
        self.rooms[room]?.pendingJoin?.number == tag.number
    }

    func joinTag(_ kind: RoomsRequestKind, for room: ByteString) -> RequestTag {
        RequestTag(
            kind: kind.rawValue, number: self.rooms[room]?.pendingJoin?.number ?? 0,
            conversation: room)
    }

    mutating func entered(_ room: ByteString, _ result: JoinResult, into steps: inout SessionSteps)
    {
        guard let me = self.me, let pendingJoin = self.rooms[room]?.pendingJoin else { return }
        if pendingJoin.isFirstJoin { self.recordDelivered(result.head, in: room) }
        steps.append(
            .submit(.describe(by: me), in: self.key(room), self.joinTag(.describe, for: room)))
    }

    mutating func described(
        _ room: ByteString, _ description: ConversationDetails, into steps: inout SessionSteps
    ) {
        guard self.rooms[room]?.pendingJoin?.description == nil else { return }
        self.rooms[room]?.pendingJoin?.description = description
        steps.append(
            .readPage(
                self.key(room), .newest, limit: Self.stateMessageLimit,
                self.joinTag(.state, for: room)))
    }

    /// Sends the state of the room. It contains exactly the messages delivered so far; all later
    /// ones follow as events.
    mutating func joinCompleted(
        _ room: ByteString, _ page: MessagePage, into steps: inout SessionSteps
    ) {
        guard let pendingJoin = self.rooms[room]?.pendingJoin,
            let description = pendingJoin.description
        else { return }
        // A subscriber has already received every message up to the owner's head.
        if !pendingJoin.isFirstJoin { self.recordDelivered(description.head, in: room) }
        self.rooms[room]?.pendingJoin = nil
        let through = self.rooms[room]?.deliveredThrough ?? 0
        // Stored messages that have not been delivered yet follow as events.
        var messages = page.messages.filter { $0.sequence <= through }
        let last = messages.last?.sequence ?? 0
        messages.append(contentsOf: pendingJoin.recentMessages.drop { $0.sequence <= last })
        let excess = max(0, messages.count - Self.stateMessageLimit)
        messages.removeFirst(excess)
        var page = page
        page.messages = messages
        if excess > 0 { page.hasMore = true }
        var state = ByteBuffer()
        state.append(
            state: description, inRoom: room, page: page, head: through, for: self.me?.person.id,
            within: steps.limits.pagedMessageBytes)
        for ackID in pendingJoin.ackIDs {
            steps.reply {
                $0.append(roomsAck: ackID) {
                    $0.append(#"{"ok":true,"#)
                    $0.append(contentsOf: state.bytes)
                }
            }
        }
        steps.reply {
            $0.append(roomsEvent: "conversation_state") {
                $0.append("{")
                $0.append(contentsOf: state.bytes)
            }
        }
        self.sendOffset(into: &steps)
    }

    /// Ends a failed join. A client that did not receive the state is not in the room.
    ///
    /// - Parameter isEntered: whether the owner had accepted the join.
    mutating func joinFailed(
        _ room: ByteString, _ sentence: String, retryAfter: Double? = nil, isEntered: Bool,
        into steps: inout SessionSteps
    ) {
        guard let pendingJoin = self.rooms[room]?.pendingJoin else { return }
        let hadTooManyRooms = self.rooms.count > RoomOffset.roomLimit
        if pendingJoin.isFirstJoin {
            self.rooms[room] = nil
            self.broadcastRooms(previousCount: self.rooms.count + 1, into: &steps)
            if isEntered { steps.append(.unsubscribe(self.key(room))) }
        } else {
            self.rooms[room]?.pendingJoin = nil
        }
        self.failJoin(pendingJoin, sentence, retryAfter: retryAfter, into: &steps)
        // No offset followed the messages that were delivered in the meantime: there were too many
        // rooms, or the pending state was to send it.
        if !pendingJoin.isFirstJoin || hadTooManyRooms && self.rooms.count <= RoomOffset.roomLimit {
            self.sendOffset(into: &steps)
        }
    }

    private func failJoin(
        _ pendingJoin: PendingJoin, _ sentence: String, retryAfter: Double? = nil,
        into steps: inout SessionSteps
    ) {
        let ackIDs: [Int?] = pendingJoin.ackIDs + (pendingJoin.wantsEvent ? [nil] : [])
        for ackID in ackIDs {
            self.fail(
                sentence, of: "join_room", ackID: ackID, retryAfter: retryAfter, into: &steps)
        }
    }

    // MARK: Leaving

    public mutating func leftConversation(
        _ conversation: ConversationKey, into steps: inout SessionSteps
    ) {
        guard let me = self.me, let room = self.rooms.removeValue(forKey: conversation.id) else {
            return
        }
        self.broadcastRooms(previousCount: self.rooms.count + 1, into: &steps)
        if let pendingJoin = room.pendingJoin {
            self.failJoin(pendingJoin, "room_id: the room was left meanwhile", into: &steps)
        }
        let now = steps.now
        // The shared event skips all connections of this user. Those that have not asked to leave
        // are notified here.
        if !room.isLeaving {
            steps.reply {
                $0.append(roomsEvent: "user_left") {
                    $0.append(
                        joinOrLeaveOf: me.person.id, me.person.name, inRoom: conversation.id,
                        at: now)
                }
            }
        }
        self.sendOffset(into: &steps)
    }
}
