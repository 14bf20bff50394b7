/// How grave an event is, and from which gravity on events are written.
public enum LogLevel: String, Sendable, Comparable, CaseIterable {
    /// What only somebody who looks for a fault wants to read.
    case debug
    /// What happened, once per connection or rarer.
    case info
    /// Something is wrong and Confab helps itself.
    case warning
    /// Something is wrong and somebody should look.
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

/// For whom events are written: people (`text`) or programs (`json`).
public enum LogFormat: String, Sendable, CaseIterable {
    case text
    case json
}
