internal import Configuration
internal import EventLoop
internal import JSON
internal import Synchronization
internal import Telemetry

/// Decides which readings of content become entries of the event log: the first of each operator
/// and subject within ten minutes.
///
/// `confab tail` and a watched page repeat a request every half second. An entry for each would
/// push all other events out of the log.
struct ContentReadings: Sendable {
    struct Reading: Hashable, Sendable {
        let operatorName: String
        let verb: String
        let subject: String
    }

    static let interval = Duration.seconds(600)
    /// Beyond this number all are forgotten, so that too many entries are written, never too few.
    static let limit = 1000

    /// When the last entry of a reading was written.
    private var entries: [Reading: MonotonicTime] = [:]

    /// Whether this reading becomes an entry.
    mutating func add(_ reading: Reading, at now: MonotonicTime) -> Bool {
        if let last = self.entries[reading], now.since(last) < Self.interval { return false }
        if self.entries.count >= Self.limit { self.entries = [:] }
        self.entries[reading] = now
        return true
    }
}

/// Records which content operators have read.
final class ReadingLog: Sendable {
    private let context: AdminContext
    private let readings = Mutex(ContentReadings())

    init(context: AdminContext) { self.context = context }

    func record(_ request: AdminRequest) {
        let named = ["message", "conversation", "user", "tenant"].compactMap { name in
            request[name].map { "\(name) \($0.stringValue ?? $0.text)" }
        }
        let subject = named.isEmpty ? "all nodes" : named.joined(separator: ", ")
        let reading = ContentReadings.Reading(
            operatorName: request.operatorName, verb: request.verb.name, subject: subject)
        guard self.readings.withLock({ $0.add(reading, at: .now) }) else { return }
        self.context.logger.info(
            "content read by operator",
            [
                "verb": .text(request.verb.name), "operator": .text(request.operatorName),
                "detail": .text(subject),
            ])
        self.context.record(request.verb.name, request, detail: subject)
    }
}
