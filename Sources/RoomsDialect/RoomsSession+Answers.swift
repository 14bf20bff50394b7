import Bytes
public import ChatModel
public import DialectKit
import JSON

/// What comes of it.
extension RoomsSession {
    /// So many messages somebody who joins is shown.
    static let stateMessageLimit = 50

    public mutating func answered(
        _ answer: ChatAnswer, to tag: RequestTag, isDelivered isShown: Bool,
        into steps: inout SessionSteps
    ) {
        guard let question = RoomsRequestKind(rawValue: tag.kind), let room = tag.conversation
        else { return }
        switch question {
        case .join, .describe, .state: self.joinAnswered(question, answer, tag, room, into: &steps)
        case .recover, .transfer: self.recoverAnswered(question, answer, tag, room, into: &steps)
        case .leave, .send, .typing:
            let asker = AckTarget(tag)
            guard self.isConnected, asker.isFromConnect(self.connectCount) else { return }
            self.answered(
                answer, to: question, asker.ackID, tag, room, isShown: isShown, into: &steps)
        }
    }

    private mutating func answered(
        _ answer: ChatAnswer, to question: RoomsRequestKind, _ ackID: Int?, _ tag: RequestTag,
        _ room: ByteString, isShown: Bool,
        into steps: inout SessionSteps
    ) {
        switch answer {
        case .posted(let message):
            if let ackID {
                steps.reply {
                    $0.append(roomsAck: ackID) { $0.append(sent: message, localID: tag.text) }
                }
            } else if !isShown {
                // A repeat, or said in a room that the connection does not hear.
                steps.reply {
                    $0.append(roomsEvent: "new_message") {
                        $0.append(message: message, inRoom: room)
                    }
                }
            }
        case .done:
            guard let ackID else { return }
            steps.reply { $0.append(roomsAck: ackID) { $0.append(#"{"ok":true}"#) } }
        case .failed(let error):
            if question == .leave { self.rooms[room]?.isLeaving = false }
            self.fail(
                Self.errorText(error), of: question.event, ackID: ackID, outcome: error.outcome,
                localID: question == .send ? tag.text : nil,
                into: &steps)
        default:
            break
        }
    }

    private mutating func joinAnswered(
        _ question: RoomsRequestKind, _ answer: ChatAnswer, _ tag: RequestTag, _ room: ByteString,
        into steps: inout SessionSteps
    ) {
        guard self.isCurrentJoin(room, tag) else {
            // The client has left while it was let in.
            if case (.join, .joined) = (question, answer), self.rooms[room] == nil {
                steps.append(.unsubscribe(self.key(room)))
            }
            return
        }
        switch (question, answer) {
        case (.join, .joined(let entered)): self.entered(room, entered, into: &steps)
        case (.describe, .described(let description)):
            self.described(room, description, into: &steps)
        case (_, .failed(let error)):
            self.joinFailed(room, Self.errorText(error), isEntered: question != .join, into: &steps)
        default: break
        }
    }

    public mutating func receivedPage(
        _ page: MessagePage?, for tag: RequestTag, into steps: inout SessionSteps
    ) {
        guard RoomsRequestKind(rawValue: tag.kind) == .state, let room = tag.conversation,
            self.isCurrentJoin(room, tag)
        else { return }
        if let page {
            self.joinCompleted(room, page, into: &steps)
        } else {
            self.joinFailed(
                room, "the history cannot be read at the moment; try again", isEntered: true,
                into: &steps)
        }
    }

    private mutating func recoverAnswered(
        _ question: RoomsRequestKind, _ answer: ChatAnswer, _ tag: RequestTag, _ room: ByteString,
        into steps: inout SessionSteps
    ) {
        guard tag.number == self.connectCount, self.rooms[room] != nil else {
            if case .joined = answer, self.rooms[room] == nil {
                steps.append(.unsubscribe(self.key(room)))
            }
            return
        }
        switch answer {
        case .joined(let entered):
            // Ends are not kept among the messages. Who only comes from another node has heard of it.
            guard question == .recover, let ended = entered.ended else { return }
            steps.reply {
                $0.append(roomsEvent: "conversation_ended") {
                    $0.append(endedBy: ended.by, inRoom: room, at: ended.at)
                }
            }
        case .failed(.unavailable):
            // The client takes itself for one who is there: better no connection than one that misses something.
            steps.append(.close(1013, "a room cannot be entered at the moment; try again"))
        case .failed(let error):
            self.rooms[room] = nil
            self.broadcastRooms(previousCount: self.rooms.count + 1, into: &steps)
            self.fail(
                "room_id: \(room) cannot be entered again: \(error)", of: nil, ackID: nil,
                into: &steps)
            self.sendOffset(into: &steps)
        default:
            break
        }
    }

    /// The core's words; where they leave it open, with the field that they are about.
    private static func errorText(_ error: ChatError) -> String {
        switch error {
        case .accessDenied, .noSuchConversation:
            "room_id: there is no such conversation, or you may not enter it"
        case .notAMember: "room_id: \(error)"
        default: error.description
        }
    }

    public mutating func historyTruncated(
        in conversation: ConversationKey, oldest: SequenceNumber, into steps: inout SessionSteps
    ) {
        guard self.isConnected else { return }
        steps.reply {
            $0.append(roomsError: "history truncated", event: nil) {
                $0.append(#","room_id":"#)
                $0.append(jsonString: conversation.id)
                $0.append(#","oldest_id":""#)
                $0.append(decimal: oldest)
                $0.append(#"""#)
            }
        }
    }

    /// Should the connection break again before the next message, the client goes on behind the head.
    public mutating func historyReset(
        in conversation: ConversationKey, head: SequenceNumber, into steps: inout SessionSteps
    ) {
        guard self.isConnected, let place = self.rooms.index(forKey: conversation.id) else {
            return
        }
        self.rooms.values[place].deliveredThrough = head
        steps.reply {
            $0.append(roomsError: "history reset", event: nil) {
                $0.append(#","room_id":"#)
                $0.append(jsonString: conversation.id)
                $0.append(#","head":""#)
                $0.append(decimal: head)
                $0.append(#"""#)
            }
        }
        self.sendOffset(into: &steps)
    }
}

extension RoomsSession {
    /// Who is to be told what came of something: in which visit it was asked, and with which acknowledgement.
    ///
    /// Both in a tag's one number: the acknowledgement's in 54 bits, above them the visit's last ones.
    struct AckTarget {
        private static let ackBits = 54
        private static let connectCountModulus = 512

        let number: Int
        var ackID: Int? {
            let id = self.number & ((1 << Self.ackBits) - 1)
            return id == 0 ? nil : id - 1
        }

        init(connectCount visit: Int, ackID: Int?) {
            self.number =
                ((visit % Self.connectCountModulus) << Self.ackBits) | (ackID.map { $0 + 1 } ?? 0)
        }
        init(_ tag: RequestTag) { self.number = tag.number }

        func isFromConnect(_ visit: Int) -> Bool {
            self.number >> Self.ackBits == visit % Self.connectCountModulus
        }
    }
}

extension RoomsSession.RoomsRequestKind {
    /// What the client asked for, in its words.
    var event: ByteString? {
        switch self {
        case .join, .describe, .state: "join_room"
        case .recover, .transfer: nil
        case .leave: "leave_room"
        case .send: "send_message"
        case .typing: "typing"
        }
    }
}
