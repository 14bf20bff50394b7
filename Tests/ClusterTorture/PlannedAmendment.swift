import TestKit

/// What a member does to one of its messages after it was answered: an edit, a deletion, or the one and then the other.
struct PlannedAmendment {
    let number: Int
    /// The other words; nil for a deletion.
    let content: String?
    /// When it is sent, for the first time or again; nil while its answer is waited for.
    var nextAttemptAt: ContinuousClock.Instant?
    var requestedAt = ContinuousClock.now

    /// What an error that answers it means.
    enum ErrorMeaning: Equatable {
        case alreadyDone, retryLater, unexpected
        /// It is about one before, which was sent again and answered twice.
        case ofEarlierRequest
    }

    var frame: String {
        guard let content = self.content else {
            return #"{"action":"delete_message","message_id":"\#(self.number)"}"#
        }
        return #"{"action":"edit_message","message_id":"\#(self.number)","content":"\#(content)"}"#
    }

    var action: String { self.content == nil ? "delete_message" : "edit_message" }

    func isAnswered(by message: HistoryChecker.ReceivedMessage) -> Bool {
        message.number == self.number && message.state >= (self.content == nil ? .deleted : .edited)
    }

    func meaning(ofError error: String) -> ErrorMeaning {
        if let match = error.firstMatch(of: /message ([0-9]+)/), Int(match.1) != self.number {
            return .ofEarlierRequest
        }
        // A deletion whose answer was lost, and that is asked for again.
        if error.hasSuffix("is deleted") { return self.content == nil ? .alreadyDone : .unexpected }
        return error.contains("try again") || error.contains("slow down")
            ? .retryLater : .unexpected
    }
}
