import Configuration
import EmbeddedStore
import Glibc
import NodeLink
import StoreCopy

/// `confab copy`: copies a SQLite database into Redis, and reports the progress on a terminal.
enum CopyCommand {
    static func run(_ options: CopyOptions) -> Int32 {
        let begin = ContinuousClock.now
        let target: CopyTarget
        do {
            target = try CopyTarget(
                options.target, trusting: options.redisCAFile, clusterName: options.clusterName)
        } catch {
            Program.printError("confab: --to: \(error)")
            return 1
        }
        let progress = ProgressLine()
        do throws(CopyFailure) {
            let store = try DatabaseCopy.open(options.source, history: options.history)
            defer { store.close() }
            let copy = try DatabaseCopy(
                from: store, at: options.source, to: target, clusterName: options.clusterName
            ) { progress.show($0) }
            let summary = try copy.run(isDryRun: options.isDryRun)
            progress.clear()
            let seconds = (ContinuousClock.now - begin) / .seconds(1)
            Program.write(
                self.text(summary, isDryRun: options.isDryRun)
                    + " in \(OperatorText.decimal(seconds)) s\n")
            if summary.leavesEvents {
                Program.printError(
                    "confab: warning: events that webhooks have not received, and dead letters, "
                        + "are not copied; the old node has them (confab webhooks)")
            }
            return 0
        } catch {
            progress.clear()
            Program.printError("confab: \(error)")
            return error.isUnanswered ? 3 : 1
        }
    }

    private static func text(_ summary: CopySummary, isDryRun: Bool) -> String {
        let earlier =
            summary.earlierConversations == 0
            ? "" : " (\(summary.earlierConversations) by an earlier run)"
        let counts = [
            OperatorText.count(summary.conversations, "conversation") + earlier,
            OperatorText.count(summary.members, "member"),
            OperatorText.count(summary.messages, "message"),
            OperatorText.count(summary.bans, "ban"),
            OperatorText.count(summary.userNumbers, "user number"),
        ]
        return (isDryRun ? "would copy " : "copied ") + counts.joined(separator: ", ")
    }
}

/// A line on the terminal that is replaced twice a second. Without a terminal nothing is printed.
private final class ProgressLine {
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private var nextAt = ContinuousClock.now

    func show(_ summary: CopySummary) {
        guard self.isTerminal, ContinuousClock.now >= self.nextAt else { return }
        self.nextAt = .now + .milliseconds(500)
        self.write(
            """
            \r\u{1B}[K\(summary.conversations) of \
            \(OperatorText.count(summary.total, "conversation")), \
            \(OperatorText.count(summary.messages, "message"))
            """)
    }

    func clear() {
        if self.isTerminal { self.write("\r\u{1B}[K") }
    }

    private func write(_ text: String) {
        var bytes = Array(text.utf8)
        _ = Glibc.write(STDERR_FILENO, &bytes, bytes.count)
    }
}
