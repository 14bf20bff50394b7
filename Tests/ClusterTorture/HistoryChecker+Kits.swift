/// Observations that only kits make.
extension HistoryChecker {
    /// A kit reported that a message is stored under a number.
    public mutating func recordAcknowledgement(
        _ localID: String, _ number: Int, of reader: String
    ) {
        guard let conversation = self.conversation(of: reader) else {
            preconditionFailure("\(reader) received an answer without a connection")
        }
        let send = MemberSend(conversation: conversation, sender: reader, localID: localID)
        if let other = self.acknowledgedNumbers.updateValue(number, forKey: send) {
            self.recordViolation(
                "\(conversation): \(reader) was told twice that \(localID) is stored: "
                    + "as \(other) and as \(number)")
        }
    }

    /// The messages that a kit has loaded, at the end, when no messages are in flight.
    public mutating func recordView(_ view: [ReceivedMessage], of reader: String) {
        guard let conversation = self.conversation(of: reader) else {
            preconditionFailure("\(reader) has messages without a connection")
        }
        let location = "\(conversation): the messages of \(reader)"
        let head = self.head(of: conversation)
        if view.last?.number ?? 0 != head {
            self.recordViolation("\(location) end with \(view.last?.number ?? 0) of \(head)")
        }
        for (message, next) in zip(view, view.dropFirst())
        where next.number != message.number + 1 {
            self.recordViolation("\(location) have \(next.number) after \(message.number)")
        }
        for message in view { self.checkFinalState(of: message, in: conversation, location) }
    }

    /// What a kit's messages lack, although no requests are in flight: the last changes may still
    /// be on their way to it.
    public func changesMissing(in view: [ReceivedMessage], of reader: String) -> String? {
        guard let conversation = self.conversation(of: reader) else { return nil }
        return view.lazy.compactMap { self.changeMissing(in: $0, of: conversation) }.first
    }

    /// Nil if a message has its last state.
    func changeMissing(in message: ReceivedMessage, of conversation: String) -> String? {
        let last = self.messages[conversation]?[message.number]?.contents.keys.max() ?? .sent
        guard message.state < last, message.sender != Self.placeholderSender else { return nil }
        return "message \(message.number) as \(message.state), and it was \(last)"
    }

    /// At the end: every acknowledged message has the number that was acknowledged.
    mutating func checkAcknowledgements() {
        for (send, number) in self.acknowledgedNumbers.sorted(by: { $0.value < $1.value })
        where self.numbers[send] != number {
            let actual = self.numbers[send].map { "is message \($0)" } ?? "is in no history"
            self.recordViolation(
                "\(send.conversation): \(send.localID) of \(send.sender) was acknowledged as "
                    + "message \(number), and \(actual)")
        }
    }
}
