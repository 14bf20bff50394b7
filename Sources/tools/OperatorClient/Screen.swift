import Bytes
import Configuration
import Glibc
import JSON
import SwiftOverlayShims
import Telemetry

/// The output of a command: a terminal, or a pipe.
struct Screen {
    let isColoured: Bool
    private let isTerminal: Bool
    private let isTable: Bool
    private let showsProgress: Bool
    private let frame: ScreenFrame?

    /// - Parameter isRedrawn: whether each repetition replaces the previous output. Without a
    ///   terminal it follows below.
    init(environment: [String: String], isTable: Bool, isRedrawn: Bool = false) {
        self.isTerminal = isatty(STDOUT_FILENO) == 1
        self.isColoured =
            self.isTerminal && environment["NO_COLOR"].map(\.isEmpty) ?? true
            && environment["TERM"] != "dumb"
        self.isTable = isTable
        self.showsProgress = isatty(STDERR_FILENO) == 1
        self.frame = isRedrawn && self.isTerminal && isTable ? ScreenFrame() : nil
    }

    /// In characters; nil where the output is not a terminal, or where its size is unknown.
    private var size: (width: Int, height: Int)? {
        var size = winsize()
        guard self.isTerminal, ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0,
            size.ws_row > 0
        else { return nil }
        return (Int(size.ws_col), Int(size.ws_row))
    }

    /// Other people have written what a document contains, so on a terminal its control characters
    /// are escaped. A table's cells are already.
    func write(_ text: String) {
        if let frame { return frame.add(text) }
        CommandOutput.standard.write(
            self.isTerminal && !self.isTable ? Formatting.escapedDocument(text) : text)
    }

    /// Whether output was lost. A command that runs forever then ends.
    var hasFailed: Bool { CommandOutput.standard.hasFailed }

    func printError(_ message: String) {
        let line = Formatting.escaped(message) + "\n"
        if let frame { frame.add(line) } else { Self.writeError(line) }
    }

    /// Draws everything written since the last call as one frame.
    func drawFrame(under title: String) {
        if let frame {
            CommandOutput.standard.write(
                frame.render(under: title, height: self.size?.height ?? 24))
        } else if self.isTable {
            self.write("\n")
        }
    }

    /// - Parameter isWhole: whether all columns are shown, even if they do not fit.
    func show(_ table: TextTable, hasHeader: Bool, isWhole: Bool) {
        self.write(
            table.text(
                width: isWhole ? nil : self.size?.width, isColoured: self.isColoured,
                hasHeader: hasHeader))
    }

    /// Prints how many rows there are, if the nodes have more than they sent, and how many loops
    /// have not listed theirs in time.
    func showRowCount(of document: JSONTree, shown: Int) {
        if let count = document["count"]?.integerValue, count > shown {
            self.write("\(shown) of \(count) rows\n")
        }
        if let count = document["unresponsive_loops"]?.integerValue, count > 0 {
            self.write("\(OperatorText.count(count, "loop")) did not answer in time\n")
        }
    }

    /// Prints which parts of the cluster have not answered: nodes, or Redis.
    ///
    /// - Returns: the resulting exit status.
    func showMissingNodes(of document: JSONTree) -> Int32 {
        var missing: [String] = []
        if let asked = document["nodes_asked"]?.integerValue,
            let answered = document["nodes_answered"]?.integerValue, answered < asked
        {
            missing.append("\(answered) of \(asked) nodes answered")
        }
        if document["redis_up"]?.boolValue == false { missing.append("Redis did not answer") }
        if document["store_error"]?.stringValue != nil {
            let isPartial = document["conversations"]?.elements != nil
            missing.append(
                isPartial ? "stored data is damaged" : "the store did not answer")
        }
        guard !missing.isEmpty else { return 0 }
        let line = missing.joined(separator: "; ") + "\n"
        if self.isTable { self.write(line) } else { Self.writeError(line) }
        return 3
    }

    /// Whether a user can answer a question.
    let canAsk = isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1

    /// Asks for confirmation.
    func confirms(_ body: String) -> Bool {
        Self.writeError("\(Formatting.escaped(body)) [y/N] ")
        let answer = readLine()?.lowercased() ?? ""
        if ["y", "yes"].contains(answer) { return true }
        self.printError("Nothing was done.")
        return false
    }

    /// A progress line that replaces the previous one; in a file each has its own line.
    func progress(_ text: String) {
        Self.writeError(
            self.showsProgress
                ? "\r\u{1B}[K\(Formatting.escaped(text))" : "\(Formatting.escaped(text))\n")
    }

    func endProgress() {
        if self.showsProgress { Self.writeError("\n") }
    }

    /// Writes to standard error. A failure cannot be reported anywhere.
    private static func writeError(_ text: String) {
        CommandOutput(descriptor: STDERR_FILENO).write(text)
    }
}
