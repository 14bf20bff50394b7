import EventLoop

/// Typed lines that are not known to be stored, in order.
struct LineOutbox {
    private enum HeadState: Equatable {
        /// It may be sent from this time on.
        case ready(from: MonotonicTime)
        case sent(at: MonotonicTime)
    }

    private var lines: [OutgoingLine] = []
    private var head = HeadState.ready(from: MonotonicTime(nanoseconds: .min))
    private var nextNumber = 1

    static let lineLimit = 1000

    var isEmpty: Bool { self.lines.isEmpty }
    var isFull: Bool { self.lines.count >= Self.lineLimit }
    var count: Int { self.lines.count }
    var first: OutgoingLine? { self.lines.first }

    mutating func add(_ text: String, to: String? = nil, prefix: String) {
        self.lines.append(OutgoingLine(localID: "\(prefix)-\(self.nextNumber)", text: text, to: to))
        self.nextNumber += 1
    }

    /// Returns the line to send next, and marks it as in flight.
    mutating func beginSendingNext(at now: MonotonicTime) -> OutgoingLine? {
        guard let line = self.lines.first, case .ready(let from) = self.head, now >= from else {
            return nil
        }
        self.head = .sent(at: now)
        return line
    }

    /// Makes a line that was in flight on the old connection ready to be sent again.
    mutating func connectionOpened() {
        if case .sent = self.head { self.head = .ready(from: MonotonicTime(nanoseconds: .min)) }
    }

    /// Removes the first line if it has this id. Returns false otherwise.
    mutating func remove(_ localID: String) -> Bool {
        guard self.lines.first?.localID == localID else { return false }
        self.lines.removeFirst()
        self.head = .ready(from: MonotonicTime(nanoseconds: .min))
        return true
    }

    /// Delays the first line until a time. Returns how often it has failed.
    mutating func postpone(until moment: MonotonicTime, isFailure isRefusal: Bool) -> Int {
        guard !self.lines.isEmpty else { return 0 }
        if isRefusal { self.lines[0].failureCount += 1 }
        self.head = .ready(from: moment)
        return self.lines[0].failureCount
    }

    /// How long the first line has been in flight; nil when it is not in flight.
    func ageOfUnanswered(at now: MonotonicTime) -> Duration? {
        guard !self.lines.isEmpty, case .sent(let at) = self.head else { return nil }
        return now.since(at)
    }
}
