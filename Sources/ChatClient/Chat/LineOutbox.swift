import EventLoop

/// Lines that were typed and are not known to be stored, in their order.
struct LineOutbox {
    struct OutgoingLine: Sendable, Equatable {
        let localID: String
        let text: String
        /// For whom alone it is; nil for everybody in the conversation.
        var to: String?
        /// How often the server could not store it for the moment.
        var failureCount = 0
    }

    private enum HeadState: Equatable {
        /// It may leave at this moment, or any later one.
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

    /// The line that is to leave; from here on it is on its way.
    mutating func beginSendingNext(at now: MonotonicTime) -> OutgoingLine? {
        guard let line = self.lines.first, case .ready(let from) = self.head, now >= from else {
            return nil
        }
        self.head = .sent(at: now)
        return line
    }

    /// On a new connection what was unanswered on the old one is sent again.
    mutating func connectionOpened() {
        if case .sent = self.head { self.head = .ready(from: MonotonicTime(nanoseconds: .min)) }
    }

    /// Forgets the line if it is the first one. False when it is not here.
    mutating func remove(_ localID: String) -> Bool {
        guard self.lines.first?.localID == localID else { return false }
        self.lines.removeFirst()
        self.head = .ready(from: MonotonicTime(nanoseconds: .min))
        return true
    }

    /// Keeps the first line back until a moment. Answers with how often that has happened to it.
    mutating func postpone(until moment: MonotonicTime, isFailure isRefusal: Bool) -> Int {
        guard !self.lines.isEmpty else { return 0 }
        if isRefusal { self.lines[0].failureCount += 1 }
        self.head = .ready(from: moment)
        return self.lines[0].failureCount
    }

    /// How long the first line has been on its way; nil when it is not.
    func ageOfUnanswered(at now: MonotonicTime) -> Duration? {
        guard !self.lines.isEmpty, case .sent(let at) = self.head else { return nil }
        return now.since(at)
    }
}
