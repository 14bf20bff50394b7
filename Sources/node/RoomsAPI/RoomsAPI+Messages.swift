internal import Bytes
internal import ChatModel
internal import DialectKit
internal import Gateway
internal import HTTPWire
internal import Identity
internal import JSON
internal import RoomsDialect

/// Sending, editing and deleting a message.
extension RoomsAPI {
    /// The message of a request, by the caller or by another user that an admin names.
    func newMessage(_ body: RoomsBody, by caller: RoomsCaller) throws(HTTPError) -> MessageBody {
        let content = try body.content()
        let localID = try body.localID()
        let username = try body.username()
        let principal = try caller.principal(body.userID(), username: username)
        guard username != nil || caller.identity != nil else {
            throw .badRequest("username: is missing")
        }
        var author = principal.person
        if let other = try body.otherSender() {
            guard principal.isAdmin else {
                throw HTTPError(.forbidden, "as: only an admin may send for another user")
            }
            author = other
        }
        return MessageBody(
            author: author, clientMessageID: localID, content: content,
            annotations: try body.annotations(isAdmin: principal.isAdmin))
    }

    /// Sends a message, and first makes its author a member if the token lists the conversation.
    func send(_ message: MessageBody, to id: ByteString, for caller: RoomsCaller)
        async throws(HTTPError) -> HTTPResponse
    {
        var answer = try await self.answer(to: .post(message), in: id, of: caller)
        if case .failed(let error)? = answer, caller.mayEnter(id, after: error) {
            let request = JoinRequest(
                principal: Principal(
                    person: message.author,
                    isAdmin: message.author.id == caller.viewer.person.id
                        && caller.viewer.isAdmin),
                isListedInToken: true, template: .rooms)
            if case .failed(let error) = try await self.submit(.join(request), in: id, of: caller) {
                throw HTTPError(error)
            }
            answer = try await self.answer(to: .post(message), in: id, of: caller)
        }
        switch answer {
        case .posted(let posted, let isRepeat)?:
            // A repeat has the present text, and a reply that of another message.
            let isAsSent =
                !isRepeat && posted.body.content == message.content
                && posted.body.annotations?.reply == nil
            let isSeen = isAsSent ? true : await self.maySeeChanges(of: id, caller)
            return Self.response(isRepeat ? .ok : .created) { text in
                if isSeen {
                    text.append(#","message":"#)
                    text.append(message: posted, inRoom: id)
                } else {
                    text.append(unseen: posted)
                }
                guard let localID = message.clientMessageID?.displayID else { return }
                text.append(#","local_id":"#)
                text.append(jsonString: localID)
            }
        case .failed(let error)? where error.outcome == .refused:
            throw error.isTemporary
                ? HTTPError(.serviceUnavailable, error.description, fields: Self.retryFields)
                : HTTPError(error)
        default:
            // Also without an answer, because the owner may have received the message.
            let error = HTTPError(
                .serviceUnavailable, ChatError.outcomeUnknown.description, fields: Self.retryFields)
            return HTTPResponse(apiError: error, outcome: .unknown)
        }
    }

    private static let retryFields = [HTTPField("Retry-After", "1")]

    /// The response to a failed change of a message. If the store caused that, it has an outcome.
    static func response(toFailedChange error: ChatError) throws(HTTPError) -> HTTPResponse {
        guard let outcome = error.changeOutcome else { throw HTTPError(error) }
        return HTTPResponse(
            apiError: HTTPError(
                .serviceUnavailable, error.description, fields: Self.retryFields),
            outcome: outcome)
    }

    /// The command of a request that edits (PATCH) or deletes (DELETE) a message.
    func amendment(
        of sequence: SequenceNumber, _ request: HTTPRequest, _ body: [UInt8], by caller: RoomsCaller
    ) throws(HTTPError) -> ChatCommand {
        let principal = try caller.provenPrincipal()
        guard request.method == .patch else { return .delete(sequence, by: principal) }
        let content = try RoomsBody.ofMessage(request, body).content()
        return .edit(sequence, content: content, by: principal)
    }

    /// Edits or deletes a message.
    func amend(_ command: ChatCommand, in id: ByteString, for caller: RoomsCaller)
        async throws(HTTPError) -> HTTPResponse
    {
        switch try await self.submit(command, in: id, of: caller) {
        case .amended(let message):
            guard await self.maySeeChanges(of: id, caller) else {
                return Self.response { $0.append(unseen: message) }
            }
            return Self.response { text in
                text.append(#","message":"#)
                text.append(message: message, inRoom: id)
            }
        case .failed(let error): return try Self.response(toFailedChange: error)
        default: throw .internalServerError
        }
    }

    /// Whether the caller may see a message that it has changed. An admin may change messages of
    /// conversations that it may not read.
    func maySeeChanges(of id: ByteString, _ caller: RoomsCaller) async -> Bool {
        guard caller.identity?.isAdmin == true else { return true }
        return await self.mayRead(id, caller)
    }

    func mayRead(_ id: ByteString, _ caller: RoomsCaller) async -> Bool {
        (try? await self.describe(id, .none, for: caller.viewer, caller)) != nil
    }
}

extension ByteBuffer {
    /// Appends the number of a message that the caller may not read, with a leading comma.
    mutating func append(unseen message: Message) {
        self.append(#","message_id":""#)
        self.append(decimal: message.sequence)
        self.append(#"","rev":"#)
        self.append(decimal: message.revision)
    }
}

extension ChatError {
    /// Whether the same request may succeed in a moment. The text says that nothing is stored.
    fileprivate var isTemporary: Bool { self == .unavailable || self == .rejected }
}
