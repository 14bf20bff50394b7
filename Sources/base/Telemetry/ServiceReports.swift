/// What a node reports to the service manager that started it, in the form of sd_notify(3): lines
/// of `NAME=VALUE`.
///
/// It is a value: it receives what happens and returns messages. While a loop is stuck, it returns
/// no `WATCHDOG=1`, so that the service manager restarts the node.
public struct ServiceReports: Sendable {
    /// What the node knows about itself.
    public struct ServiceCondition: Sendable {
        /// An event loop that has stopped running; nil if all loops run.
        public var stuckLoop: Int?
        /// Why the node is degraded, such as `store: does not answer`; nil if it is not.
        public var problem: String?
        /// Open client connections.
        public var connectionCount: Int

        public init(stuckLoop: Int?, problem: String?, connectionCount: Int) {
            self.stuckLoop = stuckLoop
            self.problem = problem
            self.connectionCount = connectionCount
        }
    }

    private enum Phase {
        case starting
        case serving(url: String)
        case draining
    }

    /// The time between two calls of `tick`: half of the watchdog's time, at most 5 seconds.
    public let interval: Duration
    private let hasWatchdog: Bool
    private var phase = Phase.starting
    private var reloadProblem: String?
    private var reportedStatus: String?

    /// The time that each tick adds to a start or a stop. A start waits for Redis, and a drain
    /// takes as long as its option says; the service manager's own limits are for stuck processes.
    private static let extensionMicroseconds = 60_000_000

    /// - Parameter watchdog: the service manager restarts a node that is silent for longer; nil if
    ///   it does not watch the node.
    public init(watchdog: Duration?) {
        self.hasWatchdog = watchdog != nil
        self.interval = min(watchdog.map { $0 / 2 } ?? .seconds(5), .seconds(5))
    }

    /// Call it once per `interval`, from the beginning of the start until the process ends.
    ///
    /// - Returns: nil if there is nothing to report.
    public mutating func tick(_ condition: ServiceCondition) -> String? {
        var lines: [String] = []
        if condition.stuckLoop == nil {
            if self.hasWatchdog { lines.append("WATCHDOG=1") }
            switch self.phase {
            case .starting, .draining:
                lines.append("EXTEND_TIMEOUT_USEC=\(Self.extensionMicroseconds)")
            case .serving:
                break
            }
        }
        let status = self.status(condition)
        if status != self.reportedStatus {
            self.reportedStatus = status
            lines.append(Self.line(status))
        }
        return lines.isEmpty ? nil : lines.joined(separator: "\n")
    }

    /// The node accepts clients at `url`.
    public mutating func started(at url: String) -> String {
        self.phase = .serving(url: url)
        return self.message("READY=1", "Serving clients at \(url).")
    }

    /// The node reads its settings again. `microseconds` is the time of CLOCK_MONOTONIC.
    public mutating func reloadStarted(atMicroseconds microseconds: Int64) -> String {
        self.message(
            "RELOADING=1\nMONOTONIC_USEC=\(microseconds)", "Reading the settings again.")
    }

    /// - Parameter problem: why the settings are unchanged; nil after a successful reload.
    public mutating func reloadEnded(problem: String?) -> String {
        self.reloadProblem = problem
        return self.message(
            "READY=1",
            problem.map(Self.reloadFailure) ?? "The settings have been read again.")
    }

    /// The node hands over its conversations and closes its clients.
    public mutating func stopping() -> String {
        self.phase = .draining
        return self.message("STOPPING=1", "Draining.")
    }

    private mutating func message(_ lines: String, _ status: String) -> String {
        self.reportedStatus = status
        return "\(lines)\n\(Self.line(status))"
    }

    private func status(_ condition: ServiceCondition) -> String {
        if let loop = condition.stuckLoop { return "Event loop \(loop) does not run." }
        switch self.phase {
        case .starting:
            return "Starting: the node does not accept clients yet."
        case .draining:
            return "Draining; open connections: \(condition.connectionCount)."
        case .serving(let url):
            if let problem = condition.problem { return "Degraded: \(problem)." }
            if let problem = self.reloadProblem { return Self.reloadFailure(problem) }
            return "Serving clients at \(url); open connections: \(condition.connectionCount)."
        }
    }

    private static func reloadFailure(_ problem: String) -> String {
        "The reload failed, and the settings are unchanged: \(problem)"
    }

    /// A line break would begin another assignment.
    private static func line(_ status: String) -> String {
        "STATUS=" + String(status.map { $0.isNewline ? " " : $0 })
    }
}
