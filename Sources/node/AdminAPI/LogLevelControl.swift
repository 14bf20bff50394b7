internal import EventLoop
internal import Synchronization
public import Telemetry

/// Applies the log level of this process: the configured one, and the one that an operator has
/// ordered for a while.
public final class LogLevelControl: Sendable {
    private struct State {
        var setting: LogLevelSetting
        /// Ends the order that is in effect.
        var timer: Task<Void, Never>?
    }

    private let logger: Logger
    private let state: Mutex<State>

    /// The logger's level counts as the configured one.
    init(_ logger: Logger) {
        self.logger = logger
        self.state = Mutex(State(setting: LogLevelSetting(configured: logger.level)))
    }

    /// The settings were reloaded.
    public func configure(_ level: LogLevel) {
        self.state.withLock { state in
            state.setting.configure(level)
            self.logger.level = state.setting.level
        }
    }

    /// Changes the level for a time, or until the next reload or the end of the process.
    ///
    /// - Parameter operatorName: for the log; nil if it is unknown.
    func order(_ level: LogLevel, for time: Duration?, by operatorName: String?) {
        self.state.withLock { state in
            state.timer?.cancel()
            state.timer = nil
            state.setting.order(
                level, until: time.map { Self.now + Int64($0 / .milliseconds(1)) })
            // The line is written at the more verbose of both levels.
            let before = self.logger.level
            self.logger.level = min(before, level)
            self.logger.info(
                "log level changed",
                [
                    "to": .text(level.rawValue), "from": .text(before.rawValue),
                    "seconds": time.map { LogValue($0) } ?? .absent,
                    "operator": .optional(operatorName),
                ])
            self.logger.level = level
            guard let time else { return }
            state.timer = Task {
                // The timer may be early by a fraction of a millisecond.
                try? await Task.sleep(for: time + .milliseconds(2))
                if !Task.isCancelled { self.expire() }
            }
        }
    }

    private func expire() {
        self.state.withLock { state in
            // Another order may have come between the end of the sleep and this call.
            guard state.setting.expire(at: Self.now) else { return }
            let before = self.logger.level
            self.logger.level = min(before, state.setting.level)
            self.logger.info(
                "log level restored",
                ["to": .text(state.setting.level.rawValue), "from": .text(before.rawValue)])
            self.logger.level = state.setting.level
        }
    }

    private static var now: Int64 { MonotonicTime.now.nanoseconds / 1_000_000 }
}
