import Bytes
import Glibc
import JSON
import SwiftOverlayShims
import Telemetry

/// Where an operator reads: a terminal of some width, or a pipe.
struct Screen {
    let isColoured: Bool
    private let isTerminal: Bool
    private let isTable: Bool
    private let showsProgress: Bool
    private let frame: ScreenFrame?

    /// - Parameter isRedrawn: what is shown comes in pages, each in place of the one before; where there is no terminal, below it.
    init(environment: [String: String], isTable: Bool, isRedrawn: Bool = false) {
        self.isTerminal = isatty(STDOUT_FILENO) == 1
        self.isColoured =
            self.isTerminal && environment["NO_COLOR"].map(\.isEmpty) ?? true
            && environment["TERM"] != "dumb"
        self.isTable = isTable
        self.showsProgress = isatty(STDERR_FILENO) == 1
        self.frame = isRedrawn && self.isTerminal && isTable ? ScreenFrame() : nil
    }

    /// In characters; nil where the output is no terminal, or one that does not say.
    private var size: (width: Int, height: Int)? {
        var size = winsize()
        guard self.isTerminal, ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0,
            size.ws_row > 0
        else { return nil }
        return (Int(size.ws_col), Int(size.ws_row))
    }

    func write(_ text: String) {
        if let frame { frame.add(text) } else { CommandOutput.standard.write(text) }
    }

    /// Whether something that was written is lost: then a command that goes on for ever ends.
    var hasFailed: Bool { CommandOutput.standard.hasFailed }

    func printError(_ sentence: String) {
        let line = Formatting.escaped(sentence) + "\n"
        if let frame { frame.add(line) } else { Self.writeError(line) }
    }

    /// What was written since the last time is a page.
    func drawFrame(under title: String) {
        if let frame {
            CommandOutput.standard.write(
                frame.render(under: title, height: self.size?.height ?? 24))
        } else if self.isTable {
            self.write("\n")
        }
    }

    func show(_ table: TextTable) {
        self.write(table.text(width: self.size?.width, isColoured: self.isColoured))
    }

    /// Says how many nodes have not answered.
    ///
    /// - Returns: the exit status that follows from it.
    func showMissingNodes(of document: JSONTree) -> Int32 {
        guard let asked = document["nodes_asked"]?.integerValue,
            let answered = document["nodes_answered"]?.integerValue, answered < asked
        else { return 0 }
        let line = "\(answered) of \(asked) nodes answered\n"
        if self.isTable { self.write(line) } else { Self.writeError(line) }
        return 3
    }

    /// Without a terminal nobody can be asked: whoever wrote the command into a script has decided.
    func confirms(_ question: String, isConfirmed isSure: Bool) -> Bool {
        guard !isSure, isatty(STDIN_FILENO) == 1, isatty(STDERR_FILENO) == 1 else { return true }
        Self.writeError("\(Formatting.escaped(question)) [y/N] ")
        let answer = readLine()?.lowercased() ?? ""
        if ["y", "yes"].contains(answer) { return true }
        self.printError("Nothing was done.")
        return false
    }

    /// A line that the next one takes the place of; in a file each has its own.
    func progress(_ text: String) {
        Self.writeError(
            self.showsProgress
                ? "\r\u{1B}[K\(Formatting.escaped(text))" : "\(Formatting.escaped(text))\n")
    }

    func endProgress() {
        if self.showsProgress { Self.writeError("\n") }
    }

    /// To standard error. What cannot be said there can be said nowhere.
    private static func writeError(_ text: String) {
        CommandOutput(descriptor: STDERR_FILENO).write(text)
    }
}
