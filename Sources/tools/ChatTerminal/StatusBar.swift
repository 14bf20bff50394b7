import ConfabClient
import TerminalKit

/// The texts of the status line and of the prompt.
enum StatusBar {
    /// As many parts as fit, the most important first.
    ///
    /// - Parameter lineCount: the lines of the text that is being typed.
    static func text(of status: ChatStatus, lineCount: Int, columns: Int) -> String {
        var parts = [status.conversation]
        if let connection = status.connection { parts.append("\(connection)…") }
        if lineCount > 1 { parts.append("\(lineCount) lines, Enter sends") }
        if let typing = self.typingText(status.typing) { parts.append(typing) }
        parts += status.unread.map { "\($0.conversation): \($0.count) new" }
        if !status.account.isEmpty { parts.append(status.account) }
        parts.append("/help")
        var text = ""
        for part in parts where !part.isEmpty {
            let next = text.isEmpty ? part : "\(text) · \(part)"
            // A narrow screen has no place for less important parts.
            if DisplayWidth.of(next) + 2 > columns, !text.isEmpty { continue }
            text = next
        }
        let line = self.cut(" \(text) ", to: columns)
        return line + String(repeating: " ", count: max(0, columns - DisplayWidth.of(line)))
    }

    /// The ticks belong to the user's newest message.
    static func prompt(of progress: MessageState?, columns: Int) -> String {
        switch progress {
        case nil, .failed, .deleted: "> "
        case .sending: "… > "
        case .sent: "✓ > "
        case .delivered: "✓✓ > "
        case .read: columns < 30 ? "✓✓ > " : "✓✓ read > "
        }
    }

    private static func typingText(_ names: [String]) -> String? {
        switch names.count {
        case 0: nil
        case 1: "\(names[0]) is typing"
        case 2, 3:
            "\(names.dropLast().joined(separator: ", ")) and \(names[names.count - 1]) are typing"
        default: "\(names.count) people are typing"
        }
    }

    private static func cut(_ text: String, to columns: Int) -> String {
        var cut = ""
        var width = 0
        for character in text {
            width += DisplayWidth.of(character)
            if width > columns { break }
            cut.append(character)
        }
        return cut
    }
}
