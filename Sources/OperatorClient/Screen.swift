import Bytes
import Glibc
import JSON
import SwiftOverlayShims

/// Where an operator reads: a terminal of some width, or a pipe.
struct Screen {
    /// Nil where the output is no terminal.
    let width: Int?
    let isColoured: Bool
    private let isTable: Bool
    private let showsProgress: Bool

    init(environment: [String: String], isTable: Bool) {
        let isTerminal = isatty(STDOUT_FILENO) == 1
        var size = winsize()
        self.width = isTerminal && ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : nil
        self.isColoured = isTerminal && environment["NO_COLOR"].map(\.isEmpty) ?? true && environment["TERM"] != "dumb"
        self.isTable = isTable
        self.showsProgress = isatty(STDERR_FILENO) == 1
    }

    func write(_ text: String) { Self.put(text, STDOUT_FILENO) }

    func complain(_ sentence: String) { Self.put(Wording.shown(sentence) + "\n", STDERR_FILENO) }

    func show(_ table: TextTable) { self.write(table.text(width: self.width, isColoured: self.isColoured)) }

    /// Says how many nodes have not answered.
    ///
    /// - Returns: the exit status that follows from it.
    func footer(of document: JSONTree) -> Int32 {
        guard let asked = document["nodes_asked"]?.integerValue, let answered = document["nodes_answered"]?.integerValue, answered < asked
        else { return 0 }
        Self.put("\(answered) of \(asked) nodes answered\n", self.isTable ? STDOUT_FILENO : STDERR_FILENO)
        return 3
    }

    /// Without a terminal nobody can be asked: whoever wrote the command into a script has decided.
    func confirms(_ question: String, isSure: Bool) -> Bool {
        guard !isSure, isatty(STDIN_FILENO) == 1, isatty(STDERR_FILENO) == 1 else { return true }
        Self.put("\(Wording.shown(question)) [y/N] ", STDERR_FILENO)
        let answer = readLine()?.lowercased() ?? ""
        if ["y", "yes"].contains(answer) { return true }
        self.complain("Nothing was done.")
        return false
    }

    /// A line that the next one takes the place of; in a file each has its own.
    func progress(_ text: String) {
        Self.put(self.showsProgress ? "\r\u{1B}[K\(Wording.shown(text))" : "\(Wording.shown(text))\n", STDERR_FILENO)
    }

    func endProgress() {
        if self.showsProgress { Self.put("\n", STDERR_FILENO) }
    }

    private static func put(_ text: String, _ descriptor: Int32) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}

/// Parts of a query.
enum AdminPath {
    static func encode(_ text: String) -> String { PercentEncoding.encode(text) }
}
