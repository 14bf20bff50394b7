internal import ChatModel
internal import HTTPWire

extension HTTPError {
    /// Maps a chat error to an HTTP response.
    init(_ error: ChatError) {
        switch error {
        case .noSuchConversation: self.init(.notFound, "room_id: no such conversation")
        case .conversationExists: self.init(.conflict, "room_id: \(error)")
        case .tooManyMembers: self.init(.conflict, "room_id: \(error)")
        case .idTaken: self.init(.conflict, error.description)
        case .conversationEnded: self.init(.gone, "room_id: conversation ended")
        case .accessDenied:
            self.init(
                .forbidden, "room_id: the conversation is closed, and you are no member of it")
        case .banned: self.init(.forbidden, error.description)
        case .notAMember, .notAllowed: self.init(.forbidden, "user_id: \(error)")
        case .noSuchMessage, .noSuchMember, .notPinned: self.init(.notFound, error.description)
        case .messageDeleted: self.init(.gone, error.description)
        case .noSuchReplyTarget: self.init(.badRequest, error.description)
        case .tooManyEmoji, .tooManyReactions, .tooManyPins:
            self.init(.conflict, error.description)
        case .mentionOfAllNotAllowed: self.init(.forbidden, error.description)
        case .contentEmpty, .clientMessageIDInvalid: self.init(.badRequest, error.description)
        case .contentTooLong, .metadataTooLong: self.init(.contentTooLarge, error.description)
        case .rateLimited(let seconds), .storageLimited(_, let seconds):
            self.init(
                .tooManyRequests, error.description,
                fields: [HTTPField("Retry-After", String(max(1, Int(seconds.rounded(.up)))))])
        case .unavailable, .rejected, .outcomeUnknown: self = .chatUnavailable
        case .damaged: self.init(.internalServerError, "room_id: \(error)")
        }
    }

    /// The store or the node of the conversation's owner is unavailable.
    static let chatUnavailable = HTTPError(
        .serviceUnavailable, "The conversations cannot be reached at the moment; try again.",
        fields: [HTTPField("Retry-After", "1")])
}
