/// The severity of an event, and the threshold from which events are written.
public enum LogLevel: String, Sendable, Comparable, CaseIterable {
    /// Details for debugging.
    case debug
    /// A normal event, at most once per connection.
    case info
    /// A problem that Confab handles itself.
    case warning
    /// A problem that requires the operator's attention.
    case error

    /// 0 for debug, 3 for error.
    var rank: UInt8 {
        switch self {
        case .debug: 0
        case .info: 1
        case .warning: 2
        case .error: 3
        }
    }

    public static func < (left: LogLevel, right: LogLevel) -> Bool {
        left.rank < right.rank
    }
}

/// The format of the log: `text` for people, `json` for programs.
public enum LogFormat: String, Sendable, CaseIterable {
    case text
    case json
}
