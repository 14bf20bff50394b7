import Bytes
import ChatModel
import DialectKit
import Identity
import JSON
import SocketIO

/// Events of the client.
extension RoomsSession {
    /// Longer names are never known events, and are not repeated in errors.
    private static let eventNameByteLimit = 64

    /// - Parameter text: the bytes of the array `[name, argument…]`, which is the document's root.
    mutating func execute(
        _ event: SocketEvent, _ document: borrowing JSONDocument, _ text: RawSpan,
        into steps: inout SessionSteps
    ) {
        var name: ByteString?
        do throws(FieldError) {
            guard let eventName = document.string(event.name, in: text) else {
                throw FieldError("event: its name must be a string")
            }
            if eventName.utf8.count <= Self.eventNameByteLimit { name = ByteString(eventName) }
            if let refusal = steps.refusal {
                return self.fail(
                    refusal.reason, of: name, ackID: event.ackID,
                    localID: Self.localID(of: event, document, text),
                    retryAfter: refusal.retryAfter, into: &steps)
            }
            switch eventName {
            case "join_room":
                try self.joinRoom(Self.argument(of: event, document), document, text, into: &steps)
            case "leave_room":
                try self.leaveRoom(Self.argument(of: event, document), document, text, into: &steps)
            case "send_message":
                try self.sendMessage(
                    Self.argument(of: event, document), document, text, into: &steps)
            case "typing":
                try self.sendTyping(
                    Self.argument(of: event, document), document, text, into: &steps)
            case "react", "pin", "unpin", "pins", "receipts", "search", "fetch_messages":
                try self.executeFeature(
                    ByteString(eventName), Self.argument(of: event, document), document, text,
                    into: &steps)
            case "authenticate":
                try self.authenticate(
                    Self.argument(of: event, document), document, text, into: &steps)
            default:
                throw FieldError(name.map { "event: \"\($0)\" is unknown" } ?? "event: is unknown")
            }
        } catch {
            self.fail(error.description, of: name, ackID: event.ackID, into: &steps)
        }
    }

    /// The client's id of a send, even if the rest of the event is invalid; nil for other events.
    private static func localID(
        of event: SocketEvent, _ document: borrowing JSONDocument, _ text: RawSpan
    ) -> ByteString? {
        guard document.equals(event.name, "send_message", in: text),
            let argument = try? self.argument(of: event, document)
        else {
            return nil
        }
        return (try? document.optionalString("local_id", of: argument.value, in: text)).map {
            ByteString($0)
        }
    }

    /// The argument of an event.
    struct EventArgument {
        let value: JSONValue
        let ackID: Int?
    }

    /// Returns the only argument, an object. JavaScript clients may send nulls after it for missing
    /// arguments.
    private static func argument(of event: SocketEvent, _ document: borrowing JSONDocument)
        throws(FieldError) -> EventArgument
    {
        guard let value = document.element(after: event.name, in: document.root),
            document.kind(of: value) == .object
        else {
            throw FieldError("data: must be an object")
        }
        var next = document.element(after: value, in: document.root)
        while let more = next {
            guard document.kind(of: more) == .null else {
                throw FieldError("data: must be one object, and nothing after it")
            }
            next = document.element(after: more, in: document.root)
        }
        return EventArgument(value: value, ackID: event.ackID)
    }

    func room(
        _ argument: EventArgument, _ document: borrowing JSONDocument, _ text: RawSpan
    ) throws(FieldError) -> ByteString {
        try document.requiredConversationID("room_id", of: argument.value, in: text)
    }

    func tag(
        _ kind: RoomsRequestKind, _ argument: EventArgument, _ room: ByteString,
        text: ByteString? = nil
    ) -> RequestTag {
        let target = AckTarget(connectCount: self.connectCount, ackID: argument.ackID)
        return RequestTag(
            kind: kind.rawValue, number: target.number, text: text, conversation: room)
    }

    // MARK: The user

    /// The sender of an event: the user of the token or of the first `join_room`.
    func sender(
        _ argument: EventArgument, _ document: borrowing JSONDocument, _ text: RawSpan
    ) throws(FieldError) -> Principal {
        let user = try document.optionalString("user_id", of: argument.value, in: text)
        guard let me = self.me else { throw FieldError("room_id: \(ChatError.notAMember)") }
        guard user == nil || user.map({ ByteString($0) }) == me.person.id.name else {
            throw FieldError("user_id: is not this connection's")
        }
        return me
    }

    /// The user of a `join_room`. An anonymous client chooses its id with the first `join_room`,
    /// and its name with any.
    private func joiningUser(
        _ argument: EventArgument, _ document: borrowing JSONDocument, _ text: RawSpan
    ) throws(FieldError) -> Principal {
        let name = try document.optionalString("username", of: argument.value, in: text)
        let user: UserID
        if let me = self.me {
            _ = try self.sender(argument, document, text)
            guard me.person.id.isAnonymous, let name, ByteString(name) != me.person.name else {
                return me
            }
            user = me.person.id
        } else {
            guard let text = try document.optionalString("user_id", of: argument.value, in: text)
            else {
                throw FieldError("user_id: is missing")
            }
            guard IdentityRule.name.allows(text) else {
                throw FieldError("user_id: must be \(IdentityRule.name.text)")
            }
            user = self.guest(ByteString(text))
        }
        guard let name else {
            return Principal(person: Person(id: user, name: user.name), isAdmin: false)
        }
        guard IdentityRule.name.allows(name) else {
            throw FieldError("username: must be \(IdentityRule.name.text)")
        }
        return Principal(person: Person(id: user, name: ByteString(name)), isAdmin: false)
    }

    private mutating func authenticate(
        _ argument: EventArgument, _ document: borrowing JSONDocument, _ text: RawSpan,
        into steps: inout SessionSteps
    ) throws(FieldError) {
        let token = try document.requiredString("token", of: argument.value, in: text)
        guard self.hasToken else {
            throw FieldError("token: the connection came without one; connect with it")
        }
        guard self.pendingRenewal == nil else {
            throw FieldError("token: another one is being verified")
        }
        self.pendingRenewal = TokenRenewal(ackID: argument.ackID)
        steps.append(.authenticate(token))
    }

    // MARK: Rooms

    private mutating func joinRoom(
        _ argument: EventArgument, _ document: borrowing JSONDocument, _ text: RawSpan,
        into steps: inout SessionSteps
    ) throws(FieldError) {
        let room = try self.room(argument, document, text)
        let me = try self.joiningUser(argument, document, text)
        let existing = self.rooms[room]
        guard existing != nil || self.rooms.count < Self.roomLimit else {
            throw FieldError("room_id: a connection may be in \(Self.roomLimit) rooms at most")
        }
        if let pendingJoin = existing?.pendingJoin {
            // The pending join also answers this request, so that repeated requests cause only one
            // join.
            guard let ackID = argument.ackID else {
                self.rooms[room]?.pendingJoin?.wantsEvent = true
                return
            }
            guard pendingJoin.ackIDs.count < PendingJoin.ackLimit else {
                throw FieldError("room_id: the room is being joined; wait for its state")
            }
            self.rooms[room]?.pendingJoin?.ackIDs.append(ackID)
            return
        }
        let isRenamed = self.me.map { $0.person.name != me.person.name } ?? false
        self.me = me
        self.joinCount += 1
        let pendingJoin = PendingJoin(
            number: self.joinCount, isFirstJoin: existing == nil,
            ackIDs: argument.ackID.map { [$0] } ?? [], wantsEvent: argument.ackID == nil)
        self.rooms[room, default: Room()].pendingJoin = pendingJoin
        if existing == nil {
            self.broadcastRooms(previousCount: self.rooms.count - 1, into: &steps)
        }
        if existing == nil {
            steps.append(
                .enter(
                    self.key(room), self.joinRequest(for: room, as: me), from: .now,
                    self.joinTag(.join, for: room)))
        } else if isRenamed {
            steps.append(
                .submit(
                    .join(self.joinRequest(for: room, as: me)), in: self.key(room),
                    self.joinTag(.join, for: room)))
        } else {
            steps.append(
                .submit(.describe(by: me), in: self.key(room), self.joinTag(.describe, for: room)))
        }
    }

    private mutating func leaveRoom(
        _ argument: EventArgument, _ document: borrowing JSONDocument, _ text: RawSpan,
        into steps: inout SessionSteps
    ) throws(FieldError) {
        let room = try self.room(argument, document, text)
        let me = try self.sender(argument, document, text)
        self.rooms[room]?.isLeaving = true
        steps.append(
            .submit(.leave(me.person.id), in: self.key(room), self.tag(.leave, argument, room)))
    }

    // MARK: Messages

    private func sendMessage(
        _ argument: EventArgument, _ document: borrowing JSONDocument, _ text: RawSpan,
        into steps: inout SessionSteps
    ) throws(FieldError) {
        let room = try self.room(argument, document, text)
        let localID = try document.optionalString("local_id", of: argument.value, in: text).map {
            ByteString($0)
        }
        if let localID, ClientMessageID(given: localID) == nil {
            throw FieldError(ChatError.clientMessageIDInvalid)
        }
        var content: String?
        for name in ["content", "message", "text"] as [StaticString]
        where document.nonNullMember(name, of: argument.value, in: text) != nil {
            content = try document.messageContent(
                name, of: argument.value, in: text, limits: steps.limits)
            break
        }
        guard let content else { throw FieldError("content: is missing") }
        let me = try self.sender(argument, document, text)
        let body = MessageBody(
            author: me.person, clientMessageID: localID.flatMap { ClientMessageID(given: $0) },
            content: content,
            annotations: try document.messageAnnotations(
                of: argument.value, in: text,
                replyTo: try document.optionalMessageID("reply_to", of: argument.value, in: text),
                isAdmin: me.isAdmin))
        steps.append(
            .submit(.post(body), in: self.key(room), self.tag(.send, argument, room, text: localID))
        )
    }

    private func sendTyping(
        _ argument: EventArgument, _ document: borrowing JSONDocument, _ text: RawSpan,
        into steps: inout SessionSteps
    ) throws(FieldError) {
        let room = try self.room(argument, document, text)
        let isTyping = try document.requiredBool("is_typing", of: argument.value, in: text)
        let me = try self.sender(argument, document, text)
        steps.append(
            .submit(
                .typing(isTyping, by: me.person), in: self.key(room),
                self.tag(.typing, argument, room)))
    }
}
