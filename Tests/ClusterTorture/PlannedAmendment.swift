import TestKit

/// An edit or a deletion that a member makes after its message was answered.
struct PlannedAmendment {
    /// The end of every edited content.
    static let editMark = ", or not"

    let number: Int
    /// The new content; nil for a deletion.
    let content: String?
    /// The time of the next attempt; nil while the request waits for its answer.
    var nextAttemptAt: ContinuousClock.Instant?
    var requestedAt = ContinuousClock.now

    /// The meaning of an error that answers the request.
    enum ErrorMeaning: Equatable {
        case alreadyDone, retryLater, unexpected
        /// The error belongs to an earlier request that was sent and answered twice.
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
        // A retried deletion whose first answer was lost.
        if error.hasSuffix("is deleted") { return self.content == nil ? .alreadyDone : .unexpected }
        return error.contains("try again") || error.contains("slow down")
            ? .retryLater : .unexpected
    }
}
