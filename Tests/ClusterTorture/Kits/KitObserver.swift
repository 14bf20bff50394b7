import TestKit

/// Passes the events of a kit's driver to the judge, as a value.
///
/// A kit's driver is one reader: what its client resends, resumes and repairs must not show.
struct KitObserver {
    /// The member's next step after an event.
    enum Consequence: Equatable {
        case opened
        /// Its own message arrived.
        case delivered(HistoryChecker.ReceivedMessage)
        case acknowledged(String)
        case refused(String)
        /// An edit or a deletion of a message arrived.
        case amended(Int, HistoryChecker.ReceivedMessage.State)
        /// An edit or a deletion failed.
        case amendmentFailed(String, error: String)
        case viewed
        case stateChanged(String)
    }

    let reader: String
    let conversation: String
    private var isOpen = false
    /// The messages that the driver has reported, by number.
    private var known: [Int: HistoryChecker.ReceivedMessage] = [:]

    init(_ reader: String, in conversation: String) {
        self.reader = reader
        self.conversation = conversation
    }

    /// Checks an event and returns its consequence. A violation is recorded in `checker`.
    mutating func receive(_ event: KitEvent, _ checker: inout HistoryChecker) -> Consequence? {
        switch event.event {
        case "reset": return self.reset(event, &checker)
        case "message":
            guard let message = self.message(event.id, event.author, event.localID, event.text)
            else { return self.malformed(event, &checker) }
            self.known[message.number] = message
            checker.recordDelivery(message, reader: self.reader)
            return message.sender == self.reader ? .delivered(message) : nil
        case "change": return self.amended(event, .edited, &checker)
        case "remove": return self.amended(event, .deleted, &checker)
        case "stored":
            guard let localID = event.localID, let number = event.id.flatMap({ Int($0) }) else {
                return self.malformed(event, &checker)
            }
            checker.recordAcknowledgement(localID, number, of: self.reader)
            return .acknowledged(localID)
        case "failed":
            guard let localID = event.localID else { return self.malformed(event, &checker) }
            checker.recordFailure(localID, of: self.reader, isRefused: true)
            return .refused(localID)
        case "messages":
            let stored = (event.messages ?? []).filter { $0.id != nil }
            let view = stored.compactMap { self.message($0) }
            guard view.count == stored.count else { return self.malformed(event, &checker) }
            checker.recordView(view, of: self.reader)
            return .viewed
        case "state": return event.state.map { .stateChanged($0) }
        case "error":
            guard let action = event.action, action == "edit" || action == "delete" else {
                return nil
            }
            return .amendmentFailed(action, error: event.error ?? "")
        default: return self.malformed(event, &checker)
        }
    }

    private mutating func reset(_ event: KitEvent, _ checker: inout HistoryChecker)
        -> Consequence?
    {
        let messages = (event.messages ?? []).filter { $0.id != nil }.compactMap {
            self.message($0)
        }
        // The history is never trimmed, and the server is never replaced.
        guard !self.isOpen, event.reason == "opened" else {
            checker.recordViolation("\(self.reader): reset: \(event.reason ?? "no reason")")
            return nil
        }
        self.isOpen = true
        checker.recordResume(
            self.reader, in: self.conversation, after: (messages.first?.number ?? 1) - 1,
            through: "its kit")
        for message in messages {
            self.known[message.number] = message
            checker.recordDelivery(message, reader: self.reader)
        }
        return .opened
    }

    private mutating func amended(
        _ event: KitEvent, _ state: HistoryChecker.ReceivedMessage.State,
        _ checker: inout HistoryChecker
    ) -> Consequence? {
        guard let number = event.id.flatMap({ Int($0) }), var message = self.known[number] else {
            return self.malformed(event, &checker)
        }
        message.state = state
        message.content = state == .deleted ? "" : event.text ?? ""
        self.known[number] = message
        checker.recordAmendmentDelivery(message, reader: self.reader)
        return .amended(number, state)
    }

    private func malformed(_ event: KitEvent, _ checker: inout HistoryChecker) -> Consequence? {
        checker.recordViolation("\(self.reader): unexpected event: \(event)")
        return nil
    }

    /// The drivers report no times.
    private func message(
        _ id: String?, _ author: String?, _ localID: String?, _ text: String?,
        _ state: HistoryChecker.ReceivedMessage.State? = nil
    ) -> HistoryChecker.ReceivedMessage? {
        guard let number = id.flatMap({ Int($0) }), let author, let text else { return nil }
        // A message may be delivered in a later state, which `message` events do not name.
        let delivered: HistoryChecker.ReceivedMessage.State =
            text.isEmpty ? .deleted : text.hasSuffix(PlannedAmendment.editMark) ? .edited : .sent
        return HistoryChecker.ReceivedMessage(
            number, by: author, as: localID, text, at: "", state ?? delivered)
    }

    private func message(_ message: KitEvent.KitMessage) -> HistoryChecker.ReceivedMessage? {
        self.message(message.id, message.author, message.localID, message.text)
    }
}
