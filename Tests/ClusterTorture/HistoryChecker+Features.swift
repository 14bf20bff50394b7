/// Observations of reactions, pins, replies, mentions and search.
extension HistoryChecker {
    // MARK: Requests

    /// A reader sends a message that refers to another one, or to members.
    public mutating func recordReferences(
        _ references: MessageReferences, of localID: String, by reader: String
    ) {
        guard let conversation = self.conversation(of: reader) else { return }
        let send = MemberSend(conversation: conversation, sender: reader, localID: localID)
        self.features.references[send] = references
    }

    /// A reader asks for a reaction, or for its end. Each attempt counts.
    public mutating func recordReactionRequest(
        _ emoji: String, isOn: Bool, to number: Int, by reader: String
    ) {
        self.changeReaction(emoji, to: number, by: reader) {
            $0.open[isOn, default: 0] += 1
            $0.hasRequestedOn = $0.hasRequestedOn || isOn
        }
    }

    /// The answer to the last attempt.
    ///
    /// - Parameter isRefused: whether the server refused it, so that it changes nothing.
    public mutating func recordReactionAnswer(
        _ emoji: String, isOn: Bool, to number: Int, by reader: String, isRefused: Bool
    ) {
        self.changeReaction(emoji, to: number, by: reader) {
            $0.open[isOn, default: 1] -= 1
            if !isRefused { $0.acknowledged = isOn }
        }
    }

    private mutating func changeReaction(
        _ emoji: String, to number: Int, by reader: String,
        _ change: (inout FeatureRecords.ReactionRequests) -> Void
    ) {
        guard let conversation = self.conversation(of: reader) else { return }
        let key = FeatureRecords.ReactionKey(number: number, emoji: emoji, member: reader)
        change(&self.features.reactions[conversation, default: [:]][key, default: .init()])
    }

    // MARK: Deliveries

    /// A reader received the reactions to a message.
    public mutating func recordReactions(
        _ reactions: [String: Set<String>], to number: Int, rev: Int, reader: String
    ) {
        let known = self.features.views[reader]?.reactions[number]
        guard rev >= known?.rev ?? 0 else { return }
        self.features.views[reader, default: .init()].reactions[number] = .init(
            value: reactions, rev: rev)
    }

    /// A reader received the pin of a message, or its end.
    public mutating func recordPin(_ isPinned: Bool, of number: Int, rev: Int, reader: String) {
        if rev >= self.features.views[reader]?.pins[number]?.rev ?? 0 {
            self.features.views[reader, default: .init()].pins[number] = .init(
                value: isPinned, rev: rev)
        }
        guard let conversation = self.conversation(of: reader),
            rev >= self.features.pins[conversation]?[number]?.rev ?? 0
        else { return }
        self.features.pins[conversation, default: [:]][number] = .init(value: isPinned, rev: rev)
    }

    /// A reader received a whole message: a new one, or one that is replayed in its present state.
    public mutating func recordFeatures(
        _ received: ReceivedFeatures, of message: ReceivedMessage, rev: Int, reader: String
    ) {
        if message.state == .deleted {
            return self.recordFeatureDeletion(of: message.number, reader: reader)
        }
        self.recordReactions(received.reactions, to: message.number, rev: rev, reader: reader)
        self.recordPin(received.isPinned, of: message.number, rev: rev, reader: reader)
    }

    public mutating func recordFeatureDeletion(of number: Int, reader: String) {
        self.features.views[reader, default: .init()].deleted.insert(number)
    }

    /// A search that a reader made for a word of one message found these messages. Whether all are
    /// found is checked at the end, because a message may just be on its way to another store.
    public mutating func recordSearch(for number: Int, found: [Int], by reader: String) {
        guard let conversation = self.conversation(of: reader) else { return }
        let location = "\(conversation): \(reader)"
        for other in found where other != number {
            self.recordViolation(
                "\(location) searched for a word of message \(number), and found \(other)")
        }
        if found.contains(number), self.features.views[reader]?.deleted.contains(number) == true,
            !self.mayDiscardChanges
        {
            self.recordViolation("\(location) found message \(number), which is deleted")
        }
    }

    // MARK: The end

    /// The features of a conversation's complete history, as read from a node.
    public mutating func recordFinalFeatures(
        _ history: [Int: ReceivedFeatures], of conversation: String, through node: String
    ) {
        self.features.histories[conversation, default: [:]][node] = history
    }

    /// The messages that a search for a word of all messages found through a node.
    public mutating func recordFinalSearch(
        _ found: [Int], of conversation: String, through node: String
    ) {
        if Set(found).count != found.count {
            self.recordViolation("\(conversation): the search through \(node) repeats messages")
        }
        self.features.searches[conversation, default: [:]][node] = Set(found)
    }

    /// What a kit has loaded at the end.
    public mutating func recordKitView(_ view: [Int: ReceivedFeatures], of reader: String) {
        self.features.kitViews[reader] = view
    }
}
