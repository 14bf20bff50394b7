import ConfabClient

/// Replies, reactions, pins and search.
extension TerminalChat {
    static let featureHelp = [
        TermEntry(term: "/reply ID TEXT", text: "reply to a message"),
        TermEntry(term: "/thread ID", text: "show a message and the replies to it"),
        TermEntry(term: "/react ID EMOJI", text: "react to a message: one emoji, or :name:"),
        TermEntry(term: "/unreact ID EMOJI", text: "remove your reaction"),
        TermEntry(term: "/pin ID, /unpin ID", text: "pin a message; end its pin"),
        TermEntry(term: "/pins", text: "show the pinned messages"),
        TermEntry(term: "/search WORDS", text: "show messages that contain all words"),
        TermEntry(term: "@NAME", text: "mention a user; @all mentions every member"),
    ]

    static let featureCommands: Set<Substring> = [
        "/reply", "/react", "/unreact", "/thread", "/pin", "/unpin", "/pins", "/search",
    ]

    mutating func executeFeature(
        _ name: Substring, _ argument: String, into steps: inout [TerminalStep]
    ) {
        let parts = argument.split(separator: " ", maxSplits: 1)
        let id = parts.first.flatMap(Self.messageID)
        let text = parts.count > 1 ? parts[1].drop { $0 == " " } : ""
        switch (name, id) {
        case ("/reply", let id?) where text.contains { !$0.isWhitespace }:
            self.post(String(text), replyTo: id, into: &steps)
        case ("/reply", _):
            self.reject("/reply takes a message's number and a text: /reply 12 yes", into: &steps)
        case ("/react", let id?) where !text.isEmpty, ("/unreact", let id?) where !text.isEmpty:
            let emoji = String(text.prefix { $0 != " " })
            self.request(.react(id, emoji, isOn: name == "/react"), into: &steps)
        case ("/react", _), ("/unreact", _):
            self.reject(
                "\(name) takes a message's number and an emoji: \(name) 12 👍", into: &steps)
        case ("/thread", let id?): self.request(.thread(id), into: &steps)
        case ("/pin", let id?): self.request(.pin(id), into: &steps)
        case ("/unpin", let id?): self.request(.unpin(id), into: &steps)
        case ("/pins", _): self.request(.pins, into: &steps)
        case ("/search", _) where !argument.isEmpty:
            self.request(.search(argument), into: &steps)
        case ("/search", _):
            self.reject("/search takes words: /search release notes", into: &steps)
        default:
            self.reject("\(name) takes a message's number: \(name) 12", into: &steps)
        }
    }

    /// The newest messages of a thread that are loaded.
    static let threadLimit = 50

    /// The line in place of the first message of a thread, if the history no longer retains that
    /// message; nil if it is there, or not loaded.
    static func goneRootSentence(for action: RoomAction, _ messages: [ChatMessage]) -> String? {
        guard case .thread(let root) = action, let first = messages.first, first.id != root,
            messages.count < Self.threadLimit
        else { return nil }
        return "The first message of this thread, #\(root), is no longer retained."
    }

    // MARK: Events

    /// An edit, or the text to which the message replies was loaded.
    mutating func changed(
        _ message: ChatMessage, in index: Int, into steps: inout [TerminalStep]
    ) {
        self.quoted(message, in: index, into: &steps)
        if let known = self.rooms[index].recorded(message.id),
            (known.text, known.isEdited) == (message.text, message.isEdited)
        {
            guard self.rooms[index].update(message), index == self.currentIndex else { return }
            return steps.append(.redraw)
        }
        self.add(.edited(message), to: index, into: &steps)
    }

    mutating func removed(
        _ message: ChatMessage, in index: Int, into steps: inout [TerminalStep]
    ) {
        self.quoted(message, in: index, into: &steps)
        self.add(.deleted(message), to: index, into: &steps)
    }

    private mutating func quoted(
        _ message: ChatMessage, in index: Int, into steps: inout [TerminalStep]
    ) {
        if self.rooms[index].quote(message), index == self.currentIndex { steps.append(.redraw) }
    }

    mutating func reacted(
        _ message: ChatMessage, in index: Int, into steps: inout [TerminalStep]
    ) {
        guard self.rooms[index].update(message) else {
            return self.add(.reactions(message), to: index, into: &steps)
        }
        if index == self.currentIndex { steps.append(.update(.reactions(message))) }
    }

    mutating func pinned(
        _ message: ChatMessage, by user: String, isPinned: Bool, in index: Int,
        into steps: inout [TerminalStep]
    ) {
        let name = SafeText.line(message.pinned?.byName ?? user, limit: 128)
        let verb = isPinned ? "pinned" : "unpinned"
        let text = SafeText.line(message.text, limit: 60)
        self.add(.notice("\(name) \(verb) #\(message.id): \(text)"), to: index, into: &steps)
    }

    /// What a command has found, if that is nothing.
    static func emptySentence(for action: RoomAction) -> String {
        switch action {
        case .pins: "No message is pinned."
        case .search: "No message contains these words."
        case .thread: "There is no such message."
        default: "There are no messages yet."
        }
    }
}
