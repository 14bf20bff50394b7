internal import Bytes

/// The source of a manual page, in the macros of man(7).
struct RoffText {
    private(set) var text: String

    /// - Parameters:
    ///   - section: the section of the manual: 1 commands, 5 file formats.
    ///   - date: the date at the bottom of the page, `YYYY-MM-DD`; empty for none.
    init(page name: String, section: Int, date: String, source: String, manual: String) {
        let arguments = [Self.literal(name.uppercased()), String(section), date, source, manual]
        // Words of a terminal, such as options, must not be divided at the end of a line.
        self.text =
            ".TH " + arguments.map { "\"\($0)\"" }.joined(separator: " ") + "\n.nh\n.ad l\n"
    }

    mutating func heading(_ title: String) {
        self.text += ".SH \(Self.literal(title.uppercased()))\n"
    }

    mutating func subheading(_ title: String) { self.text += ".SS \(Self.prose(title))\n" }

    mutating func paragraph(_ prose: String) {
        self.text += "\(self.paragraphStart)\(Self.prose(prose))\n"
    }

    /// A heading begins a paragraph itself.
    private var paragraphStart: String {
        self.text.split(separator: "\n").last?.hasPrefix(".S") == true ? "" : ".PP\n"
    }

    /// A line that is already roff, such as the synopsis.
    mutating func line(_ roff: String) { self.text += roff + "\n" }

    /// A term in roff, with an indented explanation.
    mutating func item(_ term: String, _ prose: String) {
        self.text += ".TP\n\(term)\n\(Self.prose(prose))\n"
    }

    /// Lines that are shown as they are.
    mutating func code(_ lines: [String]) {
        let shown = lines.map { Self.protected(Self.literal($0)) }.joined(separator: "\n")
        self.text += "\(self.paragraphStart).RS 4\n.EX\n\(shown)\n.EE\n.RE\n"
    }

    static func bold(_ text: String) -> String { "\\fB\(Self.literal(text))\\fR" }

    static func italic(_ text: String) -> String { "\\fI\(Self.literal(text))\\fR" }

    /// Text to type or to copy: a hyphen stays the ASCII character.
    static func literal(_ text: String) -> String {
        Self.escaped(text).map { $0 == "-" ? "\\-" : String($0) }.joined()
    }

    /// Sentences: text in backticks is bold, and options keep their hyphens.
    static func prose(_ text: String) -> String {
        let parts = text.split(separator: "`", omittingEmptySubsequences: false).enumerated()
        let line = parts.map { number, part in
            number % 2 == 1 ? Self.bold(String(part)) : Self.words(String(part))
        }.joined()
        return Self.protected(line)
    }

    private static func words(_ text: String) -> String {
        text.split(separator: " ", omittingEmptySubsequences: false).map {
            String($0).includes("--") ? Self.literal(String($0)) : Self.escaped(String($0))
        }.joined(separator: " ")
    }

    /// A period or an apostrophe at the start of a line would begin a request.
    private static func protected(_ line: String) -> String {
        line.hasPrefix(".") || line.hasPrefix("\\(aq") ? "\\&" + line : line
    }

    private static func escaped(_ text: String) -> String {
        text.map {
            switch $0 {
            case "\\": "\\e"
            case "'": "\\(aq"
            case "\"": "\\(dq"
            case "`": "\\(ga"
            case "^": "\\(ha"
            case "~": "\\(ti"
            default: String($0)
            }
        }.joined()
    }
}
