import Bytes
import ConfabClient
import TerminalKit

/// Lines of a chat as rows of a screen: wrapped, with a hanging indent, and with a line for each
/// new day.
struct MessageLayout {
    let hasColour: Bool
    let clock: ClockText
    /// The day of the message that was laid out last; nil before the first.
    private var day: String?

    /// Continued rows begin below the number, behind the time.
    private static let indent = 6

    init(hasColour: Bool, clock: ClockText) {
        self.hasColour = hasColour
        self.clock = clock
    }

    /// Forgets the day, so that the next message shows its own.
    mutating func restart() { self.day = nil }

    /// - Returns: the text of the line without a final line break. No row is wider than `columns`.
    mutating func text(of line: ChatLine, columns: Int) -> String {
        let columns = max(columns, 12)
        switch line {
        case .message(let message):
            let marks =
                (message.isEdited ? " (edited)" : "")
                + (message.mentionsMe ? " (mentions you)" : "")
            return self.dayLine(of: message.time, columns) + self.quote(of: message, columns)
                + self.row(
                    [
                        (self.clockText(of: message) + "#\(message.id) ", .dim),
                        (SafeText.line(message.label), Self.style(of: message)), (": ", nil),
                    ], message.text + marks, message.mentionsMe ? .mention : nil, columns)
                + self.reactions(to: message, columns)
        case .direct(let message, let to):
            return self.dayLine(of: message.time, columns)
                + self.row(
                    [
                        (self.clockText(of: message), .dim),
                        (SafeText.line(message.label), Self.style(of: message)),
                        (" (to \(SafeText.line(to))): ", nil),
                    ], message.text, nil, columns)
        case .edited(let message):
            let name = SafeText.line(message.label)
            return self.plain("\(name) edited #\(message.id): \(message.text)", .dim, columns)
        case .deleted(let message):
            let name = SafeText.line(message.label)
            return self.plain("#\(message.id) by \(name) was deleted.", .dim, columns)
        case .reactions(let message):
            return self.plain(Self.sentence(aboutReactionsTo: message), .dim, columns)
        case .status(let id, let state):
            return self.plain("#\(id) is \(state.label).", .dim, columns)
        case .notice(let text): return self.plain(text, .dim, columns)
        case .error(let text): return self.plain(text, .error, columns)
        case .list(let entries):
            return entries.map { self.entry($0, columns) }.joined(separator: "\n")
        }
    }

    // MARK: Replies and reactions

    /// One row with the beginning of the message to which this one replies, above it.
    private func quote(of message: ChatMessage, _ columns: Int) -> String {
        guard let id = message.replyTo else { return "" }
        let quoted = message.replyExcerpt.map {
            " \(SafeText.line($0.displayName)): \(SafeText.line($0.text))"
        }
        let text = "↪ #\(id)\(quoted ?? "")"
        let indent = min(Self.indent, columns / 4)
        let hang = String(repeating: " ", count: indent)
        return hang + self.styled(.dim, Self.shortened(text, to: columns - indent)) + "\n"
    }

    private static func shortened(_ text: String, to columns: Int) -> String {
        guard DisplayWidth.of(text) > columns else { return text }
        var short = ""
        var width = 0
        for character in text {
            width += DisplayWidth.of(character)
            guard width < columns else { break }
            short.append(character)
        }
        return short + "…"
    }

    /// The reactions below a message. Those of the user are in brackets.
    private func reactions(to message: ChatMessage, _ columns: Int) -> String {
        guard !message.reactions.isEmpty else { return "" }
        let indent = min(Self.indent, columns / 4)
        let hang = "\n" + String(repeating: " ", count: indent)
        let rows = TextWrap.lines(
            Self.text(of: message.reactions), first: columns - indent, rest: columns - indent)
        return rows.map { hang + self.styled(.dim, $0) }.joined()
    }

    private static func text(of reactions: [MessageReaction]) -> String {
        reactions.map {
            let text = "\(SafeText.line($0.emoji, limit: 32)) \($0.count)"
            return $0.isMine ? "[\(text)]" : text
        }.joined(separator: "  ")
    }

    static func sentence(aboutReactionsTo message: ChatMessage) -> String {
        let text = message.reactions.isEmpty ? "none" : Self.text(of: message.reactions)
        return "Reactions to #\(message.id): \(text)"
    }

    private static func style(of message: ChatMessage) -> TerminalStyle {
        message.isOwn ? .mine : .name(message.label)
    }

    private func clockText(of message: ChatMessage) -> String {
        message.time.map { self.clock.time(of: $0) + " " } ?? ""
    }

    private mutating func dayLine(of time: Timestamp?, _ columns: Int) -> String {
        guard let time else { return "" }
        let day = self.clock.day(of: time)
        guard day != self.day else { return "" }
        self.day = day
        let line = "── \(day) ──"
        // A narrow screen shows the date without the weekday.
        let date = day.split(separator: " ").last.map(String.init) ?? day
        return self.styled(.dim, DisplayWidth.of(line) <= columns ? line : date) + "\n"
    }

    /// Styled words in front, and a text that is wrapped behind them.
    private func row(
        _ prefix: [(text: String, style: TerminalStyle?)], _ text: String,
        _ style: TerminalStyle?, _ columns: Int
    ) -> String {
        let indent = min(Self.indent, columns / 4)
        let width = prefix.reduce(0) { $0 + DisplayWidth.of($1.text) }
        let styledPrefix = prefix.map { self.styled($0.style, $0.text) }.joined()
        let body = SafeText.block(text, indentation: "")
        let hang = String(repeating: " ", count: indent)
        // A name that leaves too few columns gets rows of its own.
        guard width + 8 <= columns else {
            let names = TextWrap.lines(
                prefix.map(\.text).joined(), first: columns, rest: columns - indent)
            let rows = TextWrap.lines(body, first: columns - indent, rest: columns - indent)
            return (names + rows.map { self.styled(style, $0) }).joined(separator: "\n" + hang)
        }
        let rows = TextWrap.lines(body, first: columns - width, rest: columns - indent)
        return styledPrefix
            + rows.map { self.styled(style, $0) }.joined(separator: "\n" + hang)
    }

    private func plain(_ text: String, _ style: TerminalStyle, _ columns: Int) -> String {
        let rows = TextWrap.lines(
            SafeText.block(text, indentation: ""), first: columns, rest: columns - 2)
        return rows.map { self.styled(style, $0) }.joined(separator: "\n  ")
    }

    private func entry(_ entry: TermEntry, _ columns: Int) -> String {
        let column = columns >= 60 ? 18 : 4
        let term = SafeText.line(entry.term)
        let hang = String(repeating: " ", count: column)
        let rows = TextWrap.lines(
            entry.text, first: columns - column, rest: columns - column)
        let width = DisplayWidth.of(term)
        // A narrow screen has the explanation below the term.
        let gap =
            width + 2 <= column ? String(repeating: " ", count: column - width) : "\n" + hang
        return self.styled(.bold, term) + gap
            + rows.map { self.styled(.dim, $0) }.joined(separator: "\n" + hang)
    }

    private func styled(_ style: TerminalStyle?, _ text: String) -> String {
        guard self.hasColour, let style, !text.isEmpty else { return text }
        return style.applied(to: text)
    }
}

extension ChatMessage {
    /// The author's name. Guests of one name differ by their keys.
    var label: String {
        guard let key = self.guestKey, !self.isOwn else { return self.displayName }
        return "\(self.displayName) (guest \(key))"
    }
}
