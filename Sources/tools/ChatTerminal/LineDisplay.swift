import ConfabClient

/// Text for standard output and standard error.
struct TerminalOutput: Equatable {
    var out = ""
    var errors = ""

    var isEmpty: Bool { self.out.isEmpty && self.errors.isEmpty }
}

/// Plain lines for pipes, files and screen readers. Messages go to standard output, one per line;
/// everything else goes to standard error.
struct LineDisplay {
    func show(_ line: ChatLine, into output: inout TerminalOutput) {
        switch line {
        case .message(let message):
            var marks: [String] = []
            if let id = message.replyTo { marks.append("reply to #\(id)") }
            if message.mentionsMe { marks.append("mentions you") }
            let mark = marks.isEmpty ? "" : " (\(marks.joined(separator: ", ")))"
            output.out +=
                "\(SafeText.line(message.label))\(mark): \(SafeText.line(message.text))\n"
        case .direct(let message, let to):
            output.out +=
                """
                \(SafeText.line(message.label)) (to \(SafeText.line(to))): \
                \(SafeText.line(message.text))\n
                """
        case .edited(let message):
            output.errors +=
                """
                #\(message.id) by \(SafeText.line(message.label)) was edited: \
                \(SafeText.line(message.text))\n
                """
        case .deleted(let message):
            output.errors +=
                "#\(message.id) by \(SafeText.line(message.label)) was deleted.\n"
        case .reactions(let message):
            output.errors += MessageLayout.sentence(aboutReactionsTo: message) + "\n"
        case .status(let id, let state):
            output.errors += "#\(id) is \(state.label).\n"
        case .notice(let message):
            output.errors += "\(message)\n"
        case .list(let entries):
            for entry in entries {
                let padding = String(repeating: " ", count: max(2, 18 - entry.term.count))
                output.errors += "\(entry.term)\(padding)\(entry.text)\n"
            }
        case .error(let message):
            output.errors += "confab: \(message)\n"
        }
    }
}
