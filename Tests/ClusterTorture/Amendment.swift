import TestKit

/// What a member does to one of its messages after it was answered: an edit, a deletion, or the one and then the other.
struct Amendment {
    let number: Int
    /// The other words; nil for a deletion.
    let content: String?
    /// When it is sent, for the first time or again; nil while its answer is waited for.
    var sendAt: ContinuousClock.Instant?
    var askedAt = ContinuousClock.now

    /// What an error that answers it means.
    enum Refusal: Equatable {
        case done, later, wrong
        /// It is about one before, which was sent again and answered twice.
        case ofAnother
    }

    var frame: String {
        guard let content = self.content else { return #"{"action":"delete_message","message_id":"\#(self.number)"}"# }
        return #"{"action":"edit_message","message_id":"\#(self.number)","content":"\#(content)"}"#
    }

    var action: String { self.content == nil ? "delete_message" : "edit_message" }

    func isAnswered(by message: HistoryChecker.Message) -> Bool {
        message.number == self.number && message.state >= (self.content == nil ? .deleted : .edited)
    }

    func refusal(_ error: String) -> Refusal {
        if let match = error.firstMatch(of: /message ([0-9]+)/), Int(match.1) != self.number { return .ofAnother }
        // A deletion whose answer was lost, and that is asked for again.
        if error.hasSuffix("is deleted") { return self.content == nil ? .done : .wrong }
        return error.contains("try again") || error.contains("slow down") ? .later : .wrong
    }
}
