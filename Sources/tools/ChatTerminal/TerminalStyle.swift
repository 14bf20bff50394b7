/// The styles of the screen.
enum TerminalStyle {
    case dim, bold, mine, mention, error, bar
    case name(String)

    /// SGR parameters (ECMA-48 section 8.3.117).
    private var code: String {
        switch self {
        case .dim: return "2"
        case .bold: return "1"
        case .mine: return "1;32"
        case .mention: return "1;33"
        case .error: return "31"
        case .bar: return "7"
        case .name(let name):
            // A name always has the same colour. Red and green are excluded because they have a
            // meaning.
            let colours = ["33", "34", "35", "36", "93", "94", "95", "96"]
            let sum = name.utf8.reduce(5381) { ($0 &* 33) ^ Int($1) }
            return "1;" + colours[Int(sum.magnitude % UInt(colours.count))]
        }
    }

    func applied(to text: String) -> String { "\u{1B}[\(self.code)m\(text)\u{1B}[0m" }
}
