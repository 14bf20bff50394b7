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
        var through: SequenceNumber = 0
        /// Set until what is in there has been shown.
        var joining: Joining?
        /// This connection has asked to leave: it is told by the acknowledgement.
        var isParting = false

        /// Whether the client has been shown it: only then can it go on there.
        var isShown: Bool { !(self.joining?.isArrival ?? false) }
    }

    /// Somebody comes in, or asks once more to be shown what is there.
    struct Joining {
        /// More than this want to be told of one join: that is no client's mistake.
        static let ackLimit = 16

        let number: Int
        /// The connection was not there before.
        let isArrival: Bool
        /// The acknowledgements that are waited for, and whether somebody waits for the event.
        var ackIDs: [Int] = []
        var wantsEvent = false
        /// As the owner has told it; the messages are being read then.
        var description: Description?
        /// What was shown meanwhile, the newest: the page may have been read before.
        private(set) var latest: [Message] = []

        mutating func note(_ message: Message) {
            if self.latest.count == RoomsSession.stateMessages { self.latest.removeFirst() }
            self.latest.append(message)
        }
    }

    /// Whom no token names, or who is in several rooms, gets offsets of its own; and of whoever is joining has to be known what it was
    /// shown, so that nothing is missing in what it is shown of the past, and nothing is in there that comes once more.
    ///
    /// Of all others nobody says here what they were shown: what is kept then is old, until `stands` says better.
    public var isPersonal: Bool {
        switch self.rooms.count {
        case 0: false
        case 1: self.isStranger || self.rooms.values.first?.joining != nil
        default: true
        }
    }

    // MARK: Where the client is

    func tellOffset(into steps: inout SessionSteps) {
        var text = RoomOffset.nowhere
        let shown = self.rooms.values.count(where: \.isShown)
        if shown <= RoomOffset.roomLimit {
            let places = self.rooms.filter(\.value.isShown).map { RoomOffset.Place(room: $0, through: $1.through) }
            text = RoomOffset(stranger: self.isStranger ? self.me?.person : nil, places: places.sorted { $0.room < $1.room }).text
        }
        steps.reply { $0.append(offset: text) }
    }

    public mutating func shown(_ message: Message, in conversation: ConversationKey, into steps: inout SessionSteps) {
        guard let place = self.rooms.index(forKey: conversation.id) else { return }
        self.rooms.values[place].through = message.sequence
        self.rooms.values[place].joining?.note(message)
        // In so many rooms nobody can go on: that was said when they were joined.
        guard self.rooms.values[place].isShown, self.rooms.count <= RoomOffset.roomLimit else { return }
        self.tellOffset(into: &steps)
    }

    public mutating func stands(at places: [(conversation: ConversationKey, through: SequenceNumber)], into steps: inout SessionSteps) {
        var isNews = false
        for (conversation, through) in places {
            guard let place = self.rooms.index(forKey: conversation.id), self.rooms.values[place].through != through else { continue }
            self.rooms.values[place].through = through
            isNews = true
        }
        // Who is joining is told behind that.
        guard isNews, self.rooms.values.allSatisfy({ $0.joining == nil }) else { return }
        self.tellOffset(into: &steps)
    }

    /// The rooms are others than before: whoever goes on with an offset that lists the former ones must not.
    ///
    /// - Parameter count: of the rooms before.
    func noteRooms(of count: Int, into steps: inout SessionSteps) {
        let most = max(count, self.rooms.count)
        guard let sid = self.sid, most > 1, min(count, self.rooms.count) <= RoomOffset.roomLimit else { return }
        let word = SessionRooms.word(sid, in: self.rooms.keys)
        self.setting.sessionRooms.note(word)
        steps.append(.announce(word))
    }

    // MARK: Joining

    private mutating func reach(_ sequence: SequenceNumber, in room: ByteString) {
        guard let place = self.rooms.index(forKey: room), self.rooms.values[place].through < sequence else { return }
        self.rooms.values[place].through = sequence
    }

    /// What the owner or the store says is of this join, and not of one that is over.
    func isJoining(_ room: ByteString, _ tag: SessionTag) -> Bool { self.rooms[room]?.joining?.number == tag.number }

    func tag(_ question: Question, joining room: ByteString) -> SessionTag {
        SessionTag(kind: question.rawValue, number: self.rooms[room]?.joining?.number ?? 0, conversation: room)
    }

    mutating func entered(_ room: ByteString, _ entered: Entered, into steps: inout SessionSteps) {
        guard let me = self.me, let joining = self.rooms[room]?.joining else { return }
        if joining.isArrival { self.reach(entered.head, in: room) }
        steps.append(.ask(.describe(by: me), in: self.key(room), self.tag(.describe, joining: room)))
    }

    mutating func described(_ room: ByteString, _ description: Description, into steps: inout SessionSteps) {
        guard self.rooms[room]?.joining?.description == nil else { return }
        self.rooms[room]?.joining?.description = description
        steps.append(.read(self.key(room), .newest, limit: Self.stateMessages, self.tag(.state, joining: room)))
    }

    /// The one who joins is shown the conversation as it stands: what comes from here on is not in it, and what came before is.
    mutating func joined(_ room: ByteString, _ page: Page, into steps: inout SessionSteps) {
        guard let joining = self.rooms[room]?.joining, let description = joining.description else { return }
        // Whoever hears a room has been shown what its owner has told of it.
        if !joining.isArrival { self.reach(description.head, in: room) }
        self.rooms[room]?.joining = nil
        let through = self.rooms[room]?.through ?? 0
        // What is stored and has not been shown yet comes by itself.
        var messages = page.messages.filter { $0.sequence <= through }
        let last = messages.last?.sequence ?? 0
        messages.append(contentsOf: joining.latest.drop { $0.sequence <= last })
        messages.removeFirst(max(0, messages.count - Self.stateMessages))
        for ackID in joining.ackIDs {
            steps.reply {
                $0.append(roomsAck: ackID) {
                    $0.append(state: description, inRoom: room, messages: messages, head: through, isAck: true)
                }
            }
        }
        steps.reply {
            $0.append(roomsEvent: "conversation_state") {
                $0.append(state: description, inRoom: room, messages: messages, head: through)
            }
        }
        self.tellOffset(into: &steps)
    }

    /// Who could not be shown what is there is not there.
    ///
    /// - Parameter isEntered: the owner had let it in.
    mutating func joinFailed(_ room: ByteString, _ sentence: String, isEntered: Bool, into steps: inout SessionSteps) {
        guard let joining = self.rooms[room]?.joining else { return }
        let wasTooMany = self.rooms.count > RoomOffset.roomLimit
        if joining.isArrival {
            self.rooms[room] = nil
            self.noteRooms(of: self.rooms.count + 1, into: &steps)
            if isEntered { steps.append(.leave(self.key(room))) }
        } else {
            self.rooms[room]?.joining = nil
        }
        self.refuse(joining, sentence, into: &steps)
        // What it was shown meanwhile it was not told to be the last of: with so many rooms, or because its state was to tell it.
        if !joining.isArrival || wasTooMany && self.rooms.count <= RoomOffset.roomLimit { self.tellOffset(into: &steps) }
    }

    private func refuse(_ joining: Joining, _ sentence: String, into steps: inout SessionSteps) {
        for ackID in joining.ackIDs { self.fail(sentence, of: "join_room", ackID: ackID, into: &steps) }
        if joining.wantsEvent { self.fail(sentence, of: "join_room", ackID: nil, into: &steps) }
    }

    // MARK: Leaving

    public mutating func left(_ conversation: ConversationKey, into steps: inout SessionSteps) {
        guard let me = self.me, let room = self.rooms.removeValue(forKey: conversation.id) else { return }
        self.noteRooms(of: self.rooms.count + 1, into: &steps)
        if let joining = room.joining { self.refuse(joining, "room_id: the room was left meanwhile", into: &steps) }
        let now = steps.now
        // Among the others are the user's own connections, but for the one that has asked.
        if !room.isParting {
            steps.reply {
                $0.append(roomsEvent: "user_left") { $0.append(movement: me.person.id, me.person.name, inRoom: conversation.id, at: now) }
            }
        }
        self.tellOffset(into: &steps)
    }
}
