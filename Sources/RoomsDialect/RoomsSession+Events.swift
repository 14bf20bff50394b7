import Bytes
import ChatModel
import DialectKit
import Identity
import JSON
import SocketIO

/// The client's events.
extension RoomsSession {
    /// - Parameter text: of the array `[name, argument…]`, which is the document's root.
    mutating func take(_ event: SocketEvent, _ document: borrowing JSONDocument, _ text: RawSpan, into steps: inout SessionSteps) {
        var name: ByteString?
        do throws(FieldError) {
            guard let word = document.string(event.name, in: text) else { throw FieldError("event: its name must be a string") }
            name = ByteString(word)
            if let retryAfter = steps.retryAfter {
                return self.fail("rate limited", of: name, ackID: event.ackID, retryAfter: retryAfter, into: &steps)
            }
            guard let value = document.element(after: event.name, in: document.root), document.kind(of: value) == .object else {
                throw FieldError("\(word): its argument must be an object")
            }
            let argument = Argument(value: value, ackID: event.ackID)
            switch word {
            case "join_room": try self.join(argument, document, text, into: &steps)
            case "leave_room": try self.leave(argument, document, text, into: &steps)
            case "send_message": try self.say(argument, document, text, into: &steps)
            case "typing": try self.type(argument, document, text, into: &steps)
            case "authenticate":
                let token = try document.requiredString("token", of: value, in: text)
                guard !self.isStranger else { throw FieldError("authenticate: the connection came without a token; connect with one") }
                self.renewal = Renewal(ackID: event.ackID)
                steps.append(.authenticate(token))
            default: throw FieldError("event: \"\(word)\" is unknown")
            }
        } catch {
            self.fail(error.description, of: name, ackID: event.ackID, into: &steps)
        }
    }

    struct Argument {
        let value: JSONValue
        let ackID: Int?
    }

    private func room(_ argument: Argument, _ document: borrowing JSONDocument, _ text: RawSpan) throws(FieldError) -> ByteString {
        try document.requiredConversationID("room_id", of: argument.value, in: text)
    }

    private func tag(_ question: Question, _ argument: Argument, _ room: ByteString, text: ByteString? = nil) -> SessionTag {
        SessionTag(kind: question.rawValue, number: argument.ackID ?? -1, text: text, conversation: room)
    }

    // MARK: Rooms

    private mutating func join(
        _ argument: Argument, _ document: borrowing JSONDocument, _ text: RawSpan, into steps: inout SessionSteps
    ) throws(FieldError) {
        let room = try self.room(argument, document, text)
        try self.identify(argument, document, text)
        guard let me = self.me else { return }
        guard !self.hears(room) else {
            steps.append(.ask(.describe(by: me), in: self.key(room), self.tag(.describe, argument, room)))
            return
        }
        let entrance = Entrance(actor: me, isListed: self.grants.include(room), kind: .rooms)
        steps.append(.enter(self.key(room), entrance, from: .now, self.tag(.join, argument, room)))
    }

    /// A token says who somebody is; without one, the first `join_room` does.
    private mutating func identify(_ argument: Argument, _ document: borrowing JSONDocument, _ text: RawSpan) throws(FieldError) {
        let user = try document.optionalString("user_id", of: argument.value, in: text)
        let name = try document.optionalString("username", of: argument.value, in: text)
        if let me = self.me {
            guard user == nil || user.map({ ByteString($0) }) == me.person.id.shown else {
                throw FieldError("user_id: is not this connection's")
            }
            guard me.person.id.isAnonymous, let name else { return }
            guard IdentityRule.name.allows(name) else { throw FieldError("username: must be \(IdentityRule.name.text)") }
            self.me = Actor(person: Person(id: me.person.id, name: ByteString(name)), isAdmin: false)
            return
        }
        guard let user else { throw FieldError("user_id: is missing") }
        guard IdentityRule.name.allows(user) else { throw FieldError("user_id: must be \(IdentityRule.name.text)") }
        guard name.map(IdentityRule.name.allows) ?? true else { throw FieldError("username: must be \(IdentityRule.name.text)") }
        let person = Person(id: UserID(anonymous: ByteString(user)), name: ByteString(name ?? user))
        self.me = Actor(person: person, isAdmin: false)
    }

    private func leave(
        _ argument: Argument, _ document: borrowing JSONDocument, _ text: RawSpan, into steps: inout SessionSteps
    ) throws(FieldError) {
        let room = try self.room(argument, document, text)
        guard let me = self.me else { throw FieldError(ChatError.notAMember) }
        steps.append(.ask(.part(me.person.id), in: self.key(room), self.tag(.leave, argument, room)))
    }

    // MARK: Words

    private func say(
        _ argument: Argument, _ document: borrowing JSONDocument, _ text: RawSpan, into steps: inout SessionSteps
    ) throws(FieldError) {
        let room = try self.room(argument, document, text)
        let localID = try document.optionalString("local_id", of: argument.value, in: text).map { ByteString($0) }
        if let localID, ClientID(given: localID) == nil { throw FieldError(ChatError.clientIDInvalid) }
        var content: String?
        for name in ["content", "message", "text"] as [StaticString] where document.presentMember(name, of: argument.value, in: text) != nil
        {
            content = try document.content(name, of: argument.value, in: text, limits: steps.limits)
            break
        }
        guard let content else { throw FieldError("content: is missing") }
        guard let me = self.me else { throw FieldError(ChatError.notAMember) }
        let body = MessageBody(author: me.person, clientID: localID.flatMap { ClientID(given: $0) }, content: content)
        steps.append(.ask(.post(body), in: self.key(room), self.tag(.send, argument, room, text: localID)))
    }

    private func type(
        _ argument: Argument, _ document: borrowing JSONDocument, _ text: RawSpan, into steps: inout SessionSteps
    ) throws(FieldError) {
        let room = try self.room(argument, document, text)
        let isTyping = try document.requiredBool("is_typing", of: argument.value, in: text)
        guard let me = self.me else { throw FieldError(ChatError.notAMember) }
        steps.append(.ask(.typing(isTyping, by: me.person), in: self.key(room), self.tag(.typing, argument, room)))
    }
}
