import Bytes
public import ChatModel
public import DialectKit
import JSON

/// Answers of the chat.
extension RoomsSession {
    /// The number of messages in the state of a room.
    static let stateMessageLimit = 50

    public func isAnsweredByEvent(_ tag: RequestTag) -> Bool {
        tag.kind == RoomsRequestKind.send.rawValue && AckTarget(tag).ackID == nil
    }

    public mutating func answered(
        _ answer: ChatAnswer, to tag: RequestTag, isDelivered: Bool,
        into steps: inout SessionSteps
    ) {
        guard let kind = RoomsRequestKind(rawValue: tag.kind), let room = tag.conversation
        else { return }
        switch kind {
        case .join, .describe, .state: self.joinAnswered(kind, answer, tag, room, into: &steps)
        case .recover, .transfer: self.recoverAnswered(kind, answer, tag, room, into: &steps)
        case .leave, .send, .typing, .react, .pin, .unpin, .pins, .receipts, .search, .fetch,
            .fetchAfter:
            let target = AckTarget(tag)
            guard self.isConnected, target.isFromConnect(self.connectCount) else { return }
            self.answered(
                answer, to: kind, target.ackID, tag, room, isDelivered: isDelivered, into: &steps)
        }
    }

    private mutating func answered(
        _ answer: ChatAnswer, to kind: RoomsRequestKind, _ ackID: Int?, _ tag: RequestTag,
        _ room: ByteString, isDelivered: Bool,
        into steps: inout SessionSteps
    ) {
        switch answer {
        case .posted(let message, _):
            if let ackID {
                steps.reply {
                    $0.append(roomsAck: ackID) { $0.append(sent: message, localID: tag.text) }
                }
            } else if !isDelivered {
                // A repeated send, or a message to a room to which the connection is not
                // subscribed.
                steps.reply {
                    $0.append(roomsEvent: "new_message") {
                        $0.append(message: message, inRoom: room)
                    }
                }
            }
        case .amended(let message) where kind == .react:
            self.reply(to: kind, ackID, room, into: &steps) { $0.append(reactedTo: message) }
        case .amended(let message):
            if let ackID {
                steps.reply { $0.append(roomsAck: ackID) { $0.append(#"{"ok":true}"#) } }
            } else if !isDelivered {
                steps.reply {
                    $0.append(roomsEvent: message.isPinned ? "pinned" : "unpinned") {
                        $0.append(pinOf: message, inRoom: room)
                    }
                }
            }
        case .pins(let messages):
            let pins = messages.pins(after: tag.text.flatMap { Int(pinCursor: $0.string) } ?? 0)
            let bytes = steps.limits.pagedMessageBytes
            self.reply(to: kind, ackID, room, into: &steps) {
                $0.append(#""messages":"#)
                let count = $0.append(
                    messages: pins, inRoom: room, on: .of(Array(pins)), for: self.me?.person.id,
                    within: bytes)
                $0.append(nextPinAfter: count, of: pins)
            }
        case .receipts(let receipts):
            self.reply(to: kind, ackID, room, into: &steps) {
                $0.append(receiptsOfRoom: receipts)
            }
        case .done:
            guard let ackID else { return }
            steps.reply { $0.append(roomsAck: ackID) { $0.append(#"{"ok":true}"#) } }
        case .failed(let error):
            if kind == .leave { self.rooms[room]?.isLeaving = false }
            let outcome: SendOutcome? =
                switch kind {
                case .send: error.outcome
                case .react, .pin, .unpin: error.changeOutcome
                default: nil
                }
            self.fail(
                Self.errorText(error), of: kind.event, ackID: ackID, outcome: outcome,
                localID: kind == .send ? tag.text : nil, retryAfter: error.retryAfter,
                into: &steps)
        default:
            break
        }
    }

    private mutating func joinAnswered(
        _ kind: RoomsRequestKind, _ answer: ChatAnswer, _ tag: RequestTag, _ room: ByteString,
        into steps: inout SessionSteps
    ) {
        guard self.isCurrentJoin(room, tag) else {
            // The client has left while the join was pending.
            if case (.join, .joined) = (kind, answer), self.rooms[room] == nil {
                steps.append(.unsubscribe(self.key(room)))
            }
            return
        }
        switch (kind, answer) {
        case (.join, .joined(let result)): self.entered(room, result, into: &steps)
        case (.describe, .described(let description)):
            self.described(room, description, into: &steps)
        case (_, .failed(let error)):
            self.joinFailed(
                room, Self.errorText(error), retryAfter: error.retryAfter,
                isEntered: kind != .join, into: &steps)
        default: break
        }
    }

    public mutating func receivedPage(
        _ page: MessagePage?, for tag: RequestTag, into steps: inout SessionSteps
    ) {
        guard let kind = RoomsRequestKind(rawValue: tag.kind), let room = tag.conversation else {
            return
        }
        guard kind == .state else { return self.fetched(page, kind, tag, room, into: &steps) }
        guard self.isCurrentJoin(room, tag) else { return }
        if let page {
            self.joinCompleted(room, page, into: &steps)
        } else {
            self.joinFailed(
                room, "the history cannot be read at the moment; try again", isEntered: true,
                into: &steps)
        }
    }

    private mutating func recoverAnswered(
        _ kind: RoomsRequestKind, _ answer: ChatAnswer, _ tag: RequestTag, _ room: ByteString,
        into steps: inout SessionSteps
    ) {
        guard tag.number == self.connectCount, self.rooms[room] != nil else {
            if case .joined = answer, self.rooms[room] == nil {
                steps.append(.unsubscribe(self.key(room)))
            }
            return
        }
        switch answer {
        case .joined(let result):
            // The end of a conversation is not stored as a message. A transferred client has
            // already been notified.
            guard kind == .recover, let ended = result.ended else { return }
            steps.reply {
                $0.append(roomsEvent: "conversation_ended") {
                    $0.append(endedBy: ended.by, inRoom: room, at: ended.at)
                }
            }
        case .failed(.unavailable):
            // The client believes that it is in the room. A closed connection is better than one
            // that misses messages.
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

    /// The text of an error, with the name of the field if the error does not name it.
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

    /// If the connection breaks again before the next message, the client resumes after `head`.
    public mutating func historyReset(
        in conversation: ConversationKey, head: SequenceNumber, into steps: inout SessionSteps
    ) {
        guard self.isConnected, let index = self.rooms.index(forKey: conversation.id) else {
            return
        }
        self.rooms.values[index].deliveredThrough = head
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
    /// Where an answer must be sent: to which connection of the client to the namespace, and with
    /// which acknowledgement id.
    ///
    /// Encoded in the number of a tag: the acknowledgement id in the lower 54 bits, and the count
    /// of connects, modulo 512, above them.
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
    /// The name of the requested event in the protocol.
    var event: ByteString? {
        switch self {
        case .join, .describe, .state: "join_room"
        case .recover, .transfer: nil
        case .leave: "leave_room"
        case .send: "send_message"
        case .typing: "typing"
        case .react: "react"
        case .pin: "pin"
        case .unpin: "unpin"
        case .pins: "pins"
        case .receipts: "receipts"
        case .search: "search"
        case .fetch, .fetchAfter: "fetch_messages"
        }
    }
}
