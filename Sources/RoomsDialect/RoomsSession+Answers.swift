import Bytes
public import ChatModel
public import DialectKit
import JSON

/// What comes of it.
extension RoomsSession {
    /// So many messages somebody who joins is shown.
    static let stateMessages = 50

    public mutating func answered(_ answer: ChatAnswer, to tag: SessionTag, isShown: Bool, into steps: inout SessionSteps) {
        guard let question = Question(rawValue: tag.kind), let room = tag.conversation else { return }
        let ackID = question == .recover || tag.number < 0 ? nil : tag.number
        switch (question, answer) {
        case (.join, .entered(let entered)):
            self.note(room, entered.head)
            guard let me = self.me else { return }
            steps.append(
                .ask(
                    .describe(by: me), in: self.key(room),
                    SessionTag(kind: Question.describe.rawValue, number: tag.number, conversation: room)))
        case (.describe, .described(let description)):
            self.joining[room] = description
            steps.append(
                .read(
                    self.key(room), .newest, limit: Self.stateMessages,
                    SessionTag(kind: Question.state.rawValue, number: tag.number, conversation: room)))
        case (.recover, .entered(let entered)):
            self.note(room, min(tag.number, entered.head))
            steps.reply { $0.append(offset: self.offset) }
        case (.join, .failed(.accessDenied)):
            self.fail("room_id: there is no such conversation, or you may not enter it", of: question.event, ackID: ackID, into: &steps)
        case (.send, .posted(let message)):
            guard let ackID else { return }
            steps.reply { $0.append(roomsAck: ackID) { $0.append(sent: message, localID: tag.text) } }
        case (.leave, .done), (.typing, .done):
            guard let ackID else { return }
            steps.reply { $0.append(roomsAck: ackID) { $0.append(#"{"ok":true}"#) } }
        case (_, .failed(let error)):
            self.fail(error.description, of: question.event, ackID: ackID, into: &steps)
        default:
            break
        }
    }

    /// The one who joins is shown the conversation as it stands: what comes from here on is not in it, and what came before is.
    public mutating func paged(_ page: Page?, for tag: SessionTag, into steps: inout SessionSteps) {
        guard Question(rawValue: tag.kind) == .state, let room = tag.conversation else { return }
        let description = self.joining.removeValue(forKey: room)
        let ackID = tag.number < 0 ? nil : tag.number
        guard let page, let description else {
            return self.fail("the history cannot be read at the moment; try again", of: "join_room", ackID: ackID, into: &steps)
        }
        if let ackID {
            steps.reply {
                $0.append(roomsAck: ackID) { $0.append(state: description, inRoom: room, messages: page.messages, head: #""ok":true,"#) }
            }
        }
        steps.reply { $0.append(roomsEvent: "conversation_state") { $0.append(state: description, inRoom: room, messages: page.messages) } }
        self.note(room, page.messages.last?.sequence ?? page.head)
        steps.reply { $0.append(offset: self.offset) }
    }

    // MARK: Where the client is

    /// As it stands; true only for whom `isPersonal` says that it is kept.
    var offset: RoomOffset { RoomOffset(stranger: self.isStranger ? self.me?.person : nil, places: self.places) }

    /// - Parameter through: the newest message of the room that the client was sent.
    private mutating func note(_ room: ByteString, _ through: SequenceNumber) {
        if let place = self.places.firstIndex(where: { $0.room == room }) {
            guard self.places[place].through < through else { return }
            self.places[place] = RoomOffset.Place(room: room, through: through)
        } else {
            self.places.append(RoomOffset.Place(room: room, through: through))
        }
    }

    public mutating func shown(_ message: Message, in conversation: ConversationKey, into steps: inout SessionSteps) {
        self.note(conversation.id, message.sequence)
        steps.reply { $0.append(offset: self.offset) }
    }

    public mutating func stands(at places: [(conversation: ConversationKey, through: SequenceNumber)], into steps: inout SessionSteps) {
        for (conversation, through) in places { self.note(conversation.id, through) }
        steps.reply { $0.append(offset: self.offset) }
    }

    // MARK: Leaving

    public mutating func left(_ conversation: ConversationKey, into steps: inout SessionSteps) {
        guard let me = self.me, let place = self.places.firstIndex(where: { $0.room == conversation.id }) else { return }
        self.places.remove(at: place)
        let now = steps.now
        // The user's own connections are told as well: another of them may have asked for it.
        steps.reply {
            $0.append(roomsEvent: "user_left") { $0.append(movement: me.person.id, me.person.name, inRoom: conversation.id, at: now) }
        }
        steps.reply { $0.append(offset: self.offset) }
    }

    public mutating func historyTruncated(oldest: SequenceNumber, into steps: inout SessionSteps) {
        steps.reply {
            $0.append(roomsError: "history truncated", event: nil) {
                $0.append(#","oldest_id":""#)
                $0.append(decimal: oldest)
                $0.append(#"""#)
            }
        }
    }
}

extension RoomsSession.Question {
    /// What the client asked for, in its words.
    var event: ByteString? {
        switch self {
        case .join, .describe, .state: "join_room"
        case .recover: nil
        case .leave: "leave_room"
        case .send: "send_message"
        case .typing: "typing"
        }
    }
}
