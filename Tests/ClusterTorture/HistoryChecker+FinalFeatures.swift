/// The checks of reactions, pins, replies, mentions and search at the end, when all requests are
/// answered.
///
/// - An acknowledged reaction is in every history, unless its user removed it later.
/// - A pin is as the newest event said.
/// - All nodes and all readers have the same reactions and pins.
/// - A reply names the message that its author named, and the first message of that thread.
/// - A reply shows the present text of the message replied to.
/// - A deleted message has no reactions, no pin, and shows in no reply.
/// - A search finds every message that has the word, and no deleted one.
extension HistoryChecker {
    /// The first characters of a message that a reply to it shows.
    static let excerptLength = 120

    mutating func checkFeatures() {
        for conversation in self.features.histories.keys.sorted() {
            let histories = self.features.histories[conversation, default: [:]].sorted {
                $0.key < $1.key
            }
            guard let (first, history) = histories.first else { continue }
            for (node, other) in histories.dropFirst() {
                for number in history.keys.sorted() where other[number] != history[number] {
                    self.recordViolation(
                        "\(conversation): message \(number) has \(Self.text(other[number])) "
                            + "through \(node), and \(Self.text(history[number])) through \(first)")
                }
            }
            self.checkReactions(history, in: conversation)
            self.checkPins(history, in: conversation)
            self.checkReferences(history, in: conversation)
            self.checkDeleted(history, in: conversation)
            self.checkViews(history, in: conversation)
            self.checkSearches(in: conversation)
        }
    }

    /// Whether any client received the message as deleted.
    private func isDeleted(_ number: Int, in conversation: String) -> Bool {
        self.messages[conversation]?[number]?.contents[.deleted] != nil
    }

    /// The text in the last state; nil if the message is deleted.
    private func finalText(of number: Int, in conversation: String) -> String? {
        guard let contents = self.messages[conversation]?[number]?.contents,
            contents[.deleted] == nil
        else { return nil }
        return contents[.edited] ?? contents[.sent]
    }

    private func undeletedNumbers(in conversation: String) -> Set<Int> {
        Set(
            self.messages[conversation, default: [:]].keys.filter {
                !self.isDeleted($0, in: conversation)
            })
    }

    private static func text(_ features: ReceivedFeatures?) -> String {
        guard let features else { return "nothing" }
        let reactions = features.counts.sorted { $0.key < $1.key }.map { "\($0.key)\($0.value)" }
        return "reply_to \(features.replyTo ?? 0), thread \(features.thread ?? 0), "
            + "excerpt \(features.excerpt ?? "none"), mentions \(features.mentions), "
            + "reactions \(reactions.joined(separator: " ")), pinned \(features.isPinned)"
    }

    private mutating func checkReactions(
        _ history: [Int: ReceivedFeatures], in conversation: String
    ) {
        let requests = self.features.reactions[conversation, default: [:]]
        for (key, known) in requests.sorted(by: {
            ($0.key.number, $0.key.member, $0.key.emoji)
                < ($1.key.number, $1.key.member, $1.key.emoji)
        }) {
            guard let acknowledged = known.acknowledged, known.open[!acknowledged, default: 0] == 0,
                !self.isDeleted(key.number, in: conversation)
            else { continue }
            let isOn =
                history[key.number]?.reactions[key.emoji]?.contains(key.member) ?? false
            if isOn != acknowledged {
                self.recordViolation(
                    "\(conversation): \(key.emoji) of \(key.member) to message \(key.number) is "
                        + "\(isOn ? "on" : "off"), and was acknowledged as "
                        + "\(acknowledged ? "on" : "off")")
            }
        }
        for (number, features) in history.sorted(by: { $0.key < $1.key }) {
            for (emoji, users) in features.reactions {
                if features.counts[emoji] ?? 0 < users.count
                    || users.count < 20 && features.counts[emoji] != users.count
                {
                    self.recordViolation(
                        "\(conversation): message \(number) has \(features.counts[emoji] ?? 0) "
                            + "\(emoji) of \(users.count) users")
                }
                for user in users.sorted() {
                    let key = FeatureRecords.ReactionKey(
                        number: number, emoji: emoji, member: user)
                    if requests[key]?.hasRequestedOn != true {
                        self.recordViolation(
                            "\(conversation): message \(number) has \(emoji) of \(user), "
                                + "who did not ask for it")
                    }
                }
            }
        }
    }

    private mutating func checkPins(_ history: [Int: ReceivedFeatures], in conversation: String) {
        for (number, pin) in self.features.pins[conversation, default: [:]].sorted(by: {
            $0.key < $1.key
        }) where !self.isDeleted(number, in: conversation) {
            let isPinned = history[number]?.isPinned ?? false
            if isPinned != pin.value {
                self.recordViolation(
                    "\(conversation): message \(number) is \(isPinned ? "" : "not ")pinned, and "
                        + "the last event said that it is \(pin.value ? "" : "not ")pinned")
            }
        }
    }

    private mutating func checkReferences(
        _ history: [Int: ReceivedFeatures], in conversation: String
    ) {
        var sent: [Int: MessageReferences] = [:]
        for (send, references) in self.features.references where send.conversation == conversation {
            if let number = self.numbers[send] { sent[number] = references }
        }
        for (number, features) in history.sorted(by: { $0.key < $1.key }) {
            let location = "\(conversation): message \(number)"
            let references = sent[number]
            if features.replyTo != references?.replyTo {
                self.recordViolation(
                    "\(location) replies to \(features.replyTo ?? 0), and was sent as a reply to "
                        + "\(references?.replyTo ?? 0)")
                continue
            }
            if !self.isDeleted(number, in: conversation),
                features.mentions != references?.mentions ?? []
            {
                self.recordViolation(
                    "\(location) mentions \(features.mentions), and was sent with "
                        + "\(references?.mentions ?? [])")
            }
            guard let replyTo = features.replyTo else {
                if features.thread != nil {
                    self.recordViolation("\(location) is no reply, and has a thread")
                }
                continue
            }
            guard let quoted = history[replyTo] else {
                self.recordViolation("\(location) replies to \(replyTo), which does not exist")
                continue
            }
            let root = quoted.thread ?? replyTo
            if features.thread != root {
                self.recordViolation(
                    "\(location) is in the thread of \(features.thread ?? 0), and not of \(root)")
            }
            let text = self.finalText(of: replyTo, in: conversation)
                .map { String($0.prefix(Self.excerptLength)) }
            if !self.isDeleted(number, in: conversation), features.excerpt != text {
                self.recordViolation(
                    "\(location) shows \"\(features.excerpt ?? "nothing")\" of message \(replyTo), "
                        + "which has \"\(text ?? "nothing")\"")
            }
        }
    }

    private mutating func checkDeleted(
        _ history: [Int: ReceivedFeatures], in conversation: String
    ) {
        for (number, features) in history.sorted(by: { $0.key < $1.key })
        where self.isDeleted(number, in: conversation) {
            if !features.reactions.isEmpty || features.isPinned || !features.mentions.isEmpty {
                self.recordViolation(
                    "\(conversation): message \(number) is deleted, and has \(Self.text(features))")
            }
        }
    }

    private mutating func checkViews(_ history: [Int: ReceivedFeatures], in conversation: String) {
        for (reader, view) in self.features.views.sorted(by: { $0.key < $1.key })
        where self.conversation(of: reader) == conversation {
            for (number, features) in history.sorted(by: { $0.key < $1.key }) {
                let isDeleted = view.deleted.contains(number)
                let reactions = isDeleted ? [:] : view.reactions[number]?.value ?? [:]
                let isPinned = !isDeleted && view.pins[number]?.value ?? false
                if reactions != features.reactions {
                    self.recordViolation(
                        "\(conversation): \(reader) ends with \(reactions) of message \(number), "
                            + "and the history has \(features.reactions)")
                }
                if isPinned != features.isPinned {
                    self.recordViolation(
                        "\(conversation): for \(reader), message \(number) ends "
                            + "\(isPinned ? "" : "not ")pinned, and in the history "
                            + "\(features.isPinned ? "" : "not ")pinned")
                }
            }
        }
        for (reader, view) in self.features.kitViews.sorted(by: { $0.key < $1.key })
        where self.conversation(of: reader) == conversation {
            for (number, loaded) in view.sorted(by: { $0.key < $1.key }) {
                guard let features = history[number] else { continue }
                let isSame =
                    loaded.counts == features.counts && loaded.isPinned == features.isPinned
                    && loaded.replyTo == features.replyTo && loaded.thread == features.thread
                    && loaded.mentions == features.mentions
                    && (self.isDeleted(number, in: conversation)
                        || loaded.excerpt == features.excerpt)
                if !isSame {
                    self.recordViolation(
                        "\(conversation): \(reader) has loaded message \(number) with "
                            + "\(Self.text(loaded)), and the history has \(Self.text(features))")
                }
            }
        }
    }

    private mutating func checkSearches(in conversation: String) {
        let expected = self.undeletedNumbers(in: conversation)
        for (node, found) in self.features.searches[conversation, default: [:]].sorted(by: {
            $0.key < $1.key
        }) where found != expected {
            let missing = expected.subtracting(found).sorted().prefix(5)
            let surplus = found.subtracting(expected).sorted().prefix(5)
            self.recordViolation(
                "\(conversation): the search through \(node) lacks \(Array(missing)), "
                    + "and wrongly has \(Array(surplus))")
        }
    }
}
