import Bytes
public import ChatModel
public import DialectKit

/// The rooms that a connection is in, and what of them the client has had.
extension RoomsSession {
    /// A connection is in so many at most.
    static let roomLimit = 1000

    /// A room that the connection is in, or about to be.
    struct Room {
        /// The newest message that the client was sent, as far as that is kept: see `isPersonal`.
        var deliveredThrough: SequenceNumber = 0
        /// Set until what is in there has been shown.
        var pendingJoin: PendingJoin?
        /// This connection has asked to leave: it is told by the acknowledgement.
        var isLeaving = false

        /// Whether the client has been shown it: only then can it go on there.
        var isStateDelivered: Bool { !(self.pendingJoin?.isFirstJoin ?? false) }
    }

    /// Somebody comes in, or asks once more to be shown what is there.
    struct PendingJoin {
        /// More than this want to be told of one join: that is no client's mistake.
        static let ackLimit = 16

        let number: Int
        /// The connection was not there before.
        let isFirstJoin: Bool
        /// The acknowledgements that are waited for, and whether somebody waits for the event.
        var ackIDs: [Int] = []
        var wantsEvent = false
        /// As the owner has told it; the messages are being read then.
        var description: ConversationDetails?
        /// What was shown meanwhile, the newest: the page may have been read before.
        private(set) var recentMessages: [Message] = []

        mutating func record(_ message: Message) {
            if self.recentMessages.count == RoomsSession.stateMessageLimit {
                self.recentMessages.removeFirst()
            }
            self.recentMessages.append(message)
        }
    }

    /// Whom no token names, or who is in several rooms, gets offsets of its own; and of whoever is joining has to be known what it was
    /// shown, so that nothing is missing in what it is shown of the past, and nothing is in there that comes once more.
    ///
    /// Of all others nobody says here what they were shown: what is kept then is old, until `stands` says better.
    public var tracksDeliveries: Bool {
        switch self.rooms.count {
        case 0: false
        case 1: self.isAnonymous || self.rooms.values.first?.pendingJoin != nil
        default: true
        }
    }

    // MARK: Where the client is

    func sendOffset(into steps: inout SessionSteps) {
        var text = RoomOffset.notRecoverable
        let shown = self.rooms.values.count(where: \.isStateDelivered)
        if shown <= RoomOffset.roomLimit {
            let places = self.rooms.filter(\.value.isStateDelivered).map {
                RoomOffset.RoomPosition(room: $0, through: $1.deliveredThrough)
            }
            text =
                RoomOffset(
                    anonymousUser: self.isAnonymous ? self.me?.person : nil,
                    positions: places.sorted { $0.room < $1.room }
                ).text
        }
        steps.reply { $0.append(offset: text) }
    }

    public mutating func delivered(
        _ message: Message, in conversation: ConversationKey, into steps: inout SessionSteps
    ) {
        guard let place = self.rooms.index(forKey: conversation.id) else { return }
        self.rooms.values[place].deliveredThrough = message.sequence
        self.rooms.values[place].pendingJoin?.record(message)
        // In so many rooms nobody can go on: that was said when they were joined.
        guard self.rooms.values[place].isStateDelivered, self.rooms.count <= RoomOffset.roomLimit
        else { return }
        self.sendOffset(into: &steps)
    }

    public mutating func startedTrackingDeliveries(
        at places: [(conversation: ConversationKey, through: SequenceNumber)],
        into steps: inout SessionSteps
    ) {
        var isNews = false
        for (conversation, through) in places {
            guard let place = self.rooms.index(forKey: conversation.id),
                self.rooms.values[place].deliveredThrough != through
            else { continue }
            self.rooms.values[place].deliveredThrough = through
            isNews = true
        }
        // Who is joining is told behind that.
        guard isNews, self.rooms.values.allSatisfy({ $0.pendingJoin == nil }) else { return }
        self.sendOffset(into: &steps)
    }

    /// The rooms are others than before: whoever goes on with an offset that lists the former ones must not.
    ///
    /// - Parameter count: of the rooms before.
    func broadcastRooms(previousCount count: Int, into steps: inout SessionSteps) {
        let most = max(count, self.rooms.count)
        guard let sid = self.sid, most > 1, min(count, self.rooms.count) <= RoomOffset.roomLimit
        else { return }
        let word = SessionRooms.broadcastText(sid, in: self.rooms.keys)
        self.context.sessionRooms.record(word)
        steps.append(.broadcast(word))
    }

    // MARK: Joining

    private mutating func recordDelivered(_ sequence: SequenceNumber, in room: ByteString) {
        guard let place = self.rooms.index(forKey: room),
            self.rooms.values[place].deliveredThrough < sequence
        else { return }
        self.rooms.values[place].deliveredThrough = sequence
    }

    /// What the owner or the store says is of this join, and not of one that is over.
    func isCurrentJoin(_ room: ByteString, _ tag: RequestTag) -> Bool {
        self.rooms[room]?.pendingJoin?.number == tag.number
    }

    func joinTag(_ question: RoomsRequestKind, for room: ByteString) -> RequestTag {
        RequestTag(
            kind: question.rawValue, number: self.rooms[room]?.pendingJoin?.number ?? 0,
            conversation: room)
    }

    mutating func entered(_ room: ByteString, _ entered: JoinResult, into steps: inout SessionSteps)
    {
        guard let me = self.me, let joining = self.rooms[room]?.pendingJoin else { return }
        if joining.isFirstJoin { self.recordDelivered(entered.head, in: room) }
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

    /// The one who joins is shown the conversation as it stands: what comes from here on is not in it, and what came before is.
    mutating func joinCompleted(
        _ room: ByteString, _ page: MessagePage, into steps: inout SessionSteps
    ) {
        guard let joining = self.rooms[room]?.pendingJoin, let description = joining.description
        else { return }
        // Whoever hears a room has been shown what its owner has told of it.
        if !joining.isFirstJoin { self.recordDelivered(description.head, in: room) }
        self.rooms[room]?.pendingJoin = nil
        let through = self.rooms[room]?.deliveredThrough ?? 0
        // What is stored and has not been shown yet comes by itself.
        var messages = page.messages.filter { $0.sequence <= through }
        let last = messages.last?.sequence ?? 0
        messages.append(contentsOf: joining.recentMessages.drop { $0.sequence <= last })
        messages.removeFirst(max(0, messages.count - Self.stateMessageLimit))
        for ackID in joining.ackIDs {
            steps.reply {
                $0.append(roomsAck: ackID) {
                    $0.append(
                        state: description, inRoom: room, messages: messages, head: through,
                        isAck: true)
                }
            }
        }
        steps.reply {
            $0.append(roomsEvent: "conversation_state") {
                $0.append(state: description, inRoom: room, messages: messages, head: through)
            }
        }
        self.sendOffset(into: &steps)
    }

    /// Who could not be shown what is there is not there.
    ///
    /// - Parameter isEntered: the owner had let it in.
    mutating func joinFailed(
        _ room: ByteString, _ sentence: String, isEntered: Bool, into steps: inout SessionSteps
    ) {
        guard let joining = self.rooms[room]?.pendingJoin else { return }
        let wasTooMany = self.rooms.count > RoomOffset.roomLimit
        if joining.isFirstJoin {
            self.rooms[room] = nil
            self.broadcastRooms(previousCount: self.rooms.count + 1, into: &steps)
            if isEntered { steps.append(.unsubscribe(self.key(room))) }
        } else {
            self.rooms[room]?.pendingJoin = nil
        }
        self.failJoin(joining, sentence, into: &steps)
        // What it was shown meanwhile it was not told to be the last of: with so many rooms, or because its state was to tell it.
        if !joining.isFirstJoin || wasTooMany && self.rooms.count <= RoomOffset.roomLimit {
            self.sendOffset(into: &steps)
        }
    }

    private func failJoin(
        _ joining: PendingJoin, _ sentence: String, into steps: inout SessionSteps
    ) {
        for ackID in joining.ackIDs {
            self.fail(sentence, of: "join_room", ackID: ackID, into: &steps)
        }
        if joining.wantsEvent { self.fail(sentence, of: "join_room", ackID: nil, into: &steps) }
    }

    // MARK: Leaving

    public mutating func leftConversation(
        _ conversation: ConversationKey, into steps: inout SessionSteps
    ) {
        guard let me = self.me, let room = self.rooms.removeValue(forKey: conversation.id) else {
            return
        }
        self.broadcastRooms(previousCount: self.rooms.count + 1, into: &steps)
        if let joining = room.pendingJoin {
            self.failJoin(joining, "room_id: the room was left meanwhile", into: &steps)
        }
        let now = steps.now
        // Among the others are the user's own connections, but for the one that has asked.
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
