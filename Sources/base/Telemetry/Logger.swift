public import Bytes
internal import Synchronization

/// Logs events, one per line. May be called from every loop.
///
/// The name of an event is a fixed text, so that it can be searched and counted. Variable data
/// belongs in the fields. The check of the level costs one relaxed load, and the fields of a
/// suppressed event are not evaluated.
public final class Logger: Sendable {
    private let threshold: Atomic<UInt8>
    private let format: LogFormat
    private let writer: LogWriter
    private let clock: @Sendable () -> Timestamp

    /// Creates a logger that writes events of `level` and above. `clock` returns the time of an
    /// event.
    public init(
        level: LogLevel, format: LogFormat, writer: LogWriter,
        clock: @escaping @Sendable () -> Timestamp = { WallClock.now }
    ) {
        self.threshold = Atomic(level.rank)
        self.format = format
        self.writer = writer
        self.clock = clock
    }

    /// The lowest level that is written. May change at any time (SIGHUP).
    public var level: LogLevel {
        get { LogLevel.allCases[Int(self.threshold.load(ordering: .relaxed))] }
        set { self.threshold.store(newValue.rank, ordering: .relaxed) }
    }

    /// Whether events of this level are written.
    public func isEnabled(_ level: LogLevel) -> Bool {
        level.rank >= self.threshold.load(ordering: .relaxed)
    }

    public func debug(_ name: StaticString, _ fields: @autoclosure () -> LogFields = [:]) {
        if self.isEnabled(.debug) { self.write(.debug, name, fields()) }
    }

    public func info(_ name: StaticString, _ fields: @autoclosure () -> LogFields = [:]) {
        if self.isEnabled(.info) { self.write(.info, name, fields()) }
    }

    public func warning(_ name: StaticString, _ fields: @autoclosure () -> LogFields = [:]) {
        if self.isEnabled(.warning) { self.write(.warning, name, fields()) }
    }

    public func error(_ name: StaticString, _ fields: @autoclosure () -> LogFields = [:]) {
        if self.isEnabled(.error) { self.write(.error, name, fields()) }
    }

    /// Writes the line for which scripts wait before they use a node, at any level. In text it is a
    /// sentence without a time, in JSON an event named `ready`.
    public func ready(url: String, node: String, store: String) {
        switch self.format {
        case .text:
            self.writer.append(
                Array("confab ready on \(url) (node \(node), store \(store))\n".utf8))
        case .json:
            self.write(
                .info, "ready", ["url": .text(url), "node": .text(node), "store": .text(store)])
        }
    }

    /// Writes lines for a reader at a terminal, without a time. They are no events: a log of JSON
    /// has none of them.
    public func note(_ lines: [String]) {
        guard self.format == .text else { return }
        for line in lines { self.writer.append(Array("\(line)\n".utf8)) }
    }

    /// Waits until all previous events are written, for at most `limit`. Call it before the process
    /// ends.
    ///
    /// - Returns: false if events remain.
    @discardableResult
    public func flush(within limit: Duration = .seconds(1)) -> Bool {
        self.writer.flush(within: limit)
    }

    /// The number of events dropped because the log was not read fast enough.
    public var droppedCount: UInt64 { self.writer.droppedCount }

    /// The newest lines of this process, oldest first: at most 500 lines and 512 KiB. Like the log,
    /// they contain ids and no secrets.
    public var recentLines: [String] { self.writer.recentLines }

    private func write(_ level: LogLevel, _ name: StaticString, _ fields: LogFields) {
        let dropped = self.writer.consumeUnreportedDropCount()
        if dropped > 0 {
            self.writer.append(
                self.line(.warning, "log events dropped", ["count": LogValue(dropped)]))
        }
        self.writer.append(self.line(level, name, fields))
    }

    private func line(_ level: LogLevel, _ name: StaticString, _ fields: LogFields) -> [UInt8] {
        switch self.format {
        case .text: LogLine.text(level, name, fields, at: self.clock())
        case .json: LogLine.json(level, name, fields, at: self.clock())
        }
    }
}
