/// The log level of a process: the configured one, and for a while the one that an operator has
/// ordered.
///
/// It is a value: the caller has the clock and applies the level.
public struct LogLevelSetting: Sendable, Equatable {
    private struct Order: Equatable {
        let level: LogLevel
        /// In milliseconds of the caller's clock.
        let endsAt: Int64
    }

    private var configured: LogLevel
    private var order: Order?

    public init(configured level: LogLevel) {
        self.configured = level
    }

    /// The level that applies.
    public var level: LogLevel { self.order?.level ?? self.configured }

    /// When the ordered level ends, in milliseconds of the caller's clock; nil without an order.
    public var endsAt: Int64? { self.order?.endsAt }

    /// The settings were reloaded. A level that was ordered for a time remains until its end;
    /// otherwise a reload for another reason would end it.
    public mutating func configure(_ level: LogLevel) { self.configured = level }

    /// An operator orders a level. It replaces an earlier order.
    ///
    /// - Parameter endsAt: nil until the next reload or the end of the process.
    public mutating func order(_ level: LogLevel, until endsAt: Int64?) {
        if let endsAt {
            self.order = Order(level: level, endsAt: endsAt)
        } else {
            self.order = nil
            self.configured = level
        }
    }

    /// Ends the order if its time is over.
    ///
    /// - Returns: whether it has ended now.
    public mutating func expire(at now: Int64) -> Bool {
        guard let order = self.order, now >= order.endsAt else { return false }
        self.order = nil
        return true
    }
}
