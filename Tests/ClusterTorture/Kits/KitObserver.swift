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
        /// A reaction or a pin is acknowledged.
        case featureDone(String)
        case featureFailed(String, error: String)
        case viewed
        /// The kit's messages lack a change.
        case viewOutdated(String)
        case stateChanged(String)
    }

    let reader: String
    let conversation: String
    private var isOpen = false
    /// The messages that the driver has reported, by number.
    private var known: [Int: HistoryChecker.ReceivedMessage] = [:]
    /// The reactions and the pin of each message, as the events have said.
    private var told: [Int: ToldFeatures] = [:]

    private struct ToldFeatures: Equatable {
        var counts: [String: Int] = [:]
        var isPinned = false

        init(_ features: ReceivedFeatures) {
            self.counts = features.counts
            self.isPinned = features.isPinned
        }
    }

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
            self.told[message.number] = ToldFeatures(event.shown.features)
            checker.recordDelivery(message, reader: self.reader)
            return message.sender == self.reader ? .delivered(message) : nil
        case "change": return self.amended(event, .edited, &checker)
        case "remove": return self.amended(event, .deleted, &checker)
        case "reactions", "pinned", "unpinned": return self.featureChanged(event, &checker)
        case "done": return .featureDone(event.action ?? "")
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
            if let missing = checker.changesMissing(in: view, of: self.reader) {
                return .viewOutdated(missing)
            }
            checker.recordView(view, of: self.reader)
            self.checkFeatures(of: stored, &checker)
            return .viewed
        case "state": return event.state.map { .stateChanged($0) }
        case "error":
            switch event.action {
            case "edit"?, "delete"?:
                return .amendmentFailed(event.action ?? "", error: event.error ?? "")
            case "react"?, "pin"?, "unpin"?:
                return .featureFailed(event.action ?? "", error: event.error ?? "")
            default: return nil
            }
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
        for message in event.messages ?? [] {
            guard let number = message.id.flatMap({ Int($0) }) else { continue }
            self.told[number] = ToldFeatures(message.shown.features)
        }
        return .opened
    }

    private mutating func featureChanged(_ event: KitEvent, _ checker: inout HistoryChecker)
        -> Consequence?
    {
        guard let number = event.id.flatMap({ Int($0) }) else {
            return self.malformed(event, &checker)
        }
        guard self.known[number] != nil else {
            // A kit reports pins of messages that are older than those that it has loaded.
            let isOlder = number < self.known.keys.min() ?? .max
            let isPin = event.event != "reactions"
            return isPin && isOlder ? nil : self.malformed(event, &checker)
        }
        switch event.event {
        case "reactions":
            guard let counts = event.shown.reactions else { return self.malformed(event, &checker) }
            self.told[number]?.counts = counts
        default: self.told[number]?.isPinned = event.event == "pinned"
        }
        return nil
    }

    /// Everything that a kit has loaded was told by its events.
    private func checkFeatures(of view: [KitEvent.KitMessage], _ checker: inout HistoryChecker) {
        var loaded: [Int: ReceivedFeatures] = [:]
        for message in view {
            guard let number = message.id.flatMap({ Int($0) }) else { continue }
            let features = message.shown.features
            loaded[number] = features
            if let told = self.told[number], told != ToldFeatures(features) {
                checker.recordViolation(
                    "\(self.reader): the events say \(told.counts) of message \(number), pinned "
                        + "\(told.isPinned), and its messages have \(features.counts), pinned "
                        + "\(features.isPinned)")
            }
        }
        checker.recordKitView(loaded, of: self.reader)
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
        if state == .deleted { self.told[number] = ToldFeatures(ReceivedFeatures()) }
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
