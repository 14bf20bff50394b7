import Bytes
import Glibc
import JSON
import SwiftOverlayShims

/// Where an operator reads: a terminal of some width, or a pipe.
struct Screen {
    let isColoured: Bool
    private let isTerminal: Bool
    private let isTable: Bool
    private let showsProgress: Bool
    private let page: Page?

    /// - Parameter isRedrawn: what is shown comes in pages, each in place of the one before; where there is no terminal, below it.
    init(environment: [String: String], isTable: Bool, isRedrawn: Bool = false) {
        self.isTerminal = isatty(STDOUT_FILENO) == 1
        self.isColoured = self.isTerminal && environment["NO_COLOR"].map(\.isEmpty) ?? true && environment["TERM"] != "dumb"
        self.isTable = isTable
        self.showsProgress = isatty(STDERR_FILENO) == 1
        self.page = isRedrawn && self.isTerminal && isTable ? Page() : nil
    }

    /// In characters; nil where the output is no terminal, or one that does not say.
    private var size: (width: Int, height: Int)? {
        var size = winsize()
        guard self.isTerminal, ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return nil }
        return (Int(size.ws_col), Int(size.ws_row))
    }

    func write(_ text: String) {
        if let page { page.add(text) } else { Self.put(text, STDOUT_FILENO) }
    }

    func complain(_ sentence: String) {
        let line = Wording.shown(sentence) + "\n"
        if let page { page.add(line) } else { Self.put(line, STDERR_FILENO) }
    }

    /// What was written since the last time is a page.
    func turnPage(under title: String) {
        if let page {
            Self.put(page.turn(under: title, height: self.size?.height ?? 24), STDOUT_FILENO)
        } else if self.isTable {
            self.write("\n")
        }
    }

    func show(_ table: TextTable) { self.write(table.text(width: self.size?.width, isColoured: self.isColoured)) }

    /// Says how many nodes have not answered.
    ///
    /// - Returns: the exit status that follows from it.
    func footer(of document: JSONTree) -> Int32 {
        guard let asked = document["nodes_asked"]?.integerValue, let answered = document["nodes_answered"]?.integerValue, answered < asked
        else { return 0 }
        let line = "\(answered) of \(asked) nodes answered\n"
        if self.isTable { self.write(line) } else { Self.put(line, STDERR_FILENO) }
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
