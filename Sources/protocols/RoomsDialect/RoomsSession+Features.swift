public import Bytes
public import ChatModel
public import DialectKit
import JSON
import SocketIO

/// Reactions, pins, threads and search: the same words as in Conversations, as events.
///
/// The answer is the acknowledgement if the client wants one, otherwise an event.
extension RoomsSession {
    /// - Parameter event: the name of the event, one of these features.
    func executeFeature(
        _ event: ByteString, _ argument: EventArgument, _ document: borrowing JSONDocument,
        _ text: RawSpan, into steps: inout SessionSteps
    ) throws(FieldError) {
        let room = try self.room(argument, document, text)
        let me = try self.sender(argument, document, text)
        guard self.rooms[room] != nil else { throw FieldError("room_id: \(ChatError.notAMember)") }
        switch event {
        case "pins":
            let cursor = try document.pinCursor(of: argument.value, in: text)
            let tag = self.tag(.pins, argument, room)
            steps.append(
                .submit(
                    .pins(by: me), in: self.key(room),
                    RequestTag(
                        kind: tag.kind, number: tag.number, text: ByteString(String(cursor)),
                        conversation: room)))
        case "receipts":
            steps.append(
                .submit(
                    .receipts(by: me.person.id), in: self.key(room),
                    self.tag(.receipts, argument, room)))
        case "search": try self.search(room, argument, document, text, into: &steps)
        case "fetch_messages": try self.fetch(room, argument, document, text, into: &steps)
        default:
            let sequence = try document.requiredMessageID(
                "message_id", of: argument.value, in: text)
            let (command, kind): (ChatCommand, RoomsRequestKind) =
                switch event {
                case "pin": (.pin(sequence, by: me), .pin)
                case "unpin": (.unpin(sequence, by: me), .unpin)
                default:
                    (
                        .react(
                            sequence,
                            try document.requiredEmoji("emoji", of: argument.value, in: text),
                            isOn: try document.requiredBool("on", of: argument.value, in: text),
                            by: me), .react
                    )
                }
            steps.append(.submit(command, in: self.key(room), self.tag(kind, argument, room)))
        }
    }

    private func search(
        _ room: ByteString, _ argument: EventArgument, _ document: borrowing JSONDocument,
        _ text: RawSpan, into steps: inout SessionSteps
    ) throws(FieldError) {
        let request = try document.searchRequest(
            in: self.key(room), of: argument.value, in: text)
        steps.append(.fetch(request, self.tag(.search, argument, room)))
    }

    private func fetch(
        _ room: ByteString, _ argument: EventArgument, _ document: borrowing JSONDocument,
        _ text: RawSpan, into steps: inout SessionSteps
    ) throws(FieldError) {
        let data = argument.value
        let limit = try document.optionalInteger("limit", within: 1...100, of: data, in: text) ?? 20
        let before = try document.optionalMessageID("before_id", of: data, in: text)
        let after = try document.optionalMessageID("after_id", of: data, in: text)
        guard before == nil || after == nil else {
            throw FieldError("after_id: cannot be combined with before_id")
        }
        let range: PageRange = after.map { .after($0) } ?? before.map { .before($0) } ?? .newest
        let tag = self.tag(after == nil ? .fetch : .fetchAfter, argument, room)
        if let thread = try document.optionalMessageID("thread", of: data, in: text) {
            steps.append(.readThread(self.key(room), root: thread, range, limit: limit, tag))
        } else {
            steps.append(.readPage(self.key(room), range, limit: limit, tag))
        }
    }

    // MARK: Answers

    /// Answers with the acknowledgement, or with the event of the same name.
    ///
    /// - Parameter fields: writes the fields of the object after `ok` or `room_id`.
    func reply(
        to kind: RoomsRequestKind, _ ackID: Int?, _ room: ByteString,
        into steps: inout SessionSteps, _ fields: (inout ByteBuffer) -> Void
    ) {
        steps.reply {
            if let ackID {
                $0.append(roomsAck: ackID) {
                    $0.append(#"{"ok":true,"#)
                    fields(&$0)
                    $0.append("}")
                }
            } else {
                $0.append(roomsEvent: kind.answerEvent) {
                    $0.append(roomID: room)
                    fields(&$0)
                    $0.append("}")
                }
            }
        }
    }

    /// A page of the history or of a thread; nil if the store could not read it.
    func fetched(
        _ page: MessagePage?, _ kind: RoomsRequestKind, _ tag: RequestTag, _ room: ByteString,
        into steps: inout SessionSteps
    ) {
        let target = AckTarget(tag)
        guard self.isConnected, target.isFromConnect(self.connectCount) else { return }
        guard let page else {
            return self.fail(
                "the history cannot be read at the moment; try again", of: kind.event,
                ackID: target.ackID, into: &steps)
        }
        let isForward = kind == .fetchAfter
        let bytes = steps.limits.pagedMessageBytes
        var count = 0
        self.reply(to: kind, target.ackID, room, into: &steps) {
            $0.append(#""messages":"#)
            count = $0.append(
                messages: isForward ? page.messages : page.messages.reversed(), inRoom: room,
                on: page, for: self.me?.person.id, within: bytes)
            $0.append(
                nextPage: page.next(afterShowing: count, isForward: isForward),
                isForward: isForward)
            $0.append(#","rev":"#)
            $0.append(decimal: page.revision)
        }
        steps.shownMessages = page.shown(count, isForward: isForward)
    }

    public mutating func receivedStoreAnswer(
        _ answer: StoreAnswer?, for tag: RequestTag, into steps: inout SessionSteps
    ) {
        let target = AckTarget(tag)
        guard let room = tag.conversation, self.isConnected,
            target.isFromConnect(self.connectCount)
        else { return }
        switch answer {
        case .found(let page)?:
            let bytes = steps.limits.pagedMessageBytes
            self.reply(to: .search, target.ackID, room, into: &steps) {
                $0.append(#""messages":"#)
                let count = $0.append(
                    messages: page.messages, inRoom: room, on: .of(page.messages),
                    for: self.me?.person.id, within: bytes)
                $0.append(searchPosition: page.next(afterShowing: count), isIncomplete: false)
            }
        case .searchRefused(let refusal)?:
            self.fail(refusal.description, of: "search", ackID: target.ackID, into: &steps)
        case .cannotSearch?:
            self.fail("this service has no search", of: "search", ackID: target.ackID, into: &steps)
        default:
            self.fail(
                "the history cannot be searched at the moment; try again", of: "search",
                ackID: target.ackID, into: &steps)
        }
    }
}

extension ByteBuffer {
    /// Appends the fields after the messages that a search has found.
    public mutating func append(searchPosition next: SequenceNumber?, isIncomplete: Bool) {
        self.append(#","next_before_id":"#)
        if let next {
            self.append(messageID: next, as: .string)
        } else {
            self.append("null")
        }
        self.append(isIncomplete ? #","incomplete":true"# : #","incomplete":false"#)
    }

    mutating func append(reactedTo message: Message) {
        self.append(#""message_id":"#)
        self.append(messageID: message.sequence, as: .string)
        self.append(#","rev":"#)
        self.append(decimal: message.revision)
    }
}

extension RoomsSession.RoomsRequestKind {
    /// The event that answers a request without an acknowledgement.
    fileprivate var answerEvent: StaticString {
        switch self {
        case .react: "reacted"
        case .pins: "pins"
        case .receipts: "receipts"
        case .search: "search_results"
        case .fetch, .fetchAfter: "messages_fetched"
        default: "done"
        }
    }
}
