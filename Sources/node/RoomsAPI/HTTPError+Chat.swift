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
        // A closed conversation is answered as an unknown one.
        case .accessDenied: self = .init(.noSuchConversation)
        case .wasRemoved: self.init(.forbidden, error.description)
        case .closedIsUnlisted, .noDescription: self.init(.badRequest, error.description)
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
        case .rateLimited(let seconds), .storageLimited(let seconds):
            self.init(
                .tooManyRequests, error.description,
                fields: [HTTPField("Retry-After", String(max(1, Int(seconds.rounded(.up)))))])
        case .unavailable, .rejected, .outcomeUnknown: self = .chatUnavailable
        case .damaged: self.init(.internalServerError, "room_id: \(error)")
        }
    }

    /// Maps the refusal of a search to an HTTP response.
    init(_ refusal: SearchRefusal) {
        let status: HTTPStatus =
            switch refusal {
            case .userIsSearching: .tooManyRequests
            case .nodeIsBusy, .cancelled: .serviceUnavailable
            }
        self.init(status, refusal.description, fields: [HTTPField("Retry-After", "1")])
    }

    /// The store or the node of the conversation's owner is unavailable.
    static let chatUnavailable = HTTPError(
        .serviceUnavailable, "The conversations cannot be reached at the moment; try again.",
        fields: [HTTPField("Retry-After", "1")])
}
