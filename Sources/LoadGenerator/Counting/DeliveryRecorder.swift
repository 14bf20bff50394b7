/// Who sent what, and who heard it: finds what was lost, repeated, misdirected or out of order.
///
/// Every member has a counter for each publisher of its conversation, which says what it must hear next, and a hash over all that it has
/// heard, in its order. Members of one conversation have heard the same in the same order if their hashes are the same.
struct DeliveryRecorder {
    enum DeliveryResult: Equatable {
        case counted
        /// Behind what the same publisher has sent later.
        case late
        case repeated
        /// Of another conversation, or by nobody who publishes.
        case foreign
    }

    private let groupOfMember: [UInt32]
    private let memberCounts: [Int]
    private let publishersPerGroup: Int

    private var nextNumbers: [UInt32]
    private var hashes: [UInt64]
    private var sent: [UInt32]

    private(set) var published: UInt64 = 0
    /// Deliveries that what was published must make.
    private(set) var expected: UInt64 = 0
    private(set) var received: UInt64 = 0
    private(set) var late: UInt64 = 0
    private(set) var repeated: UInt64 = 0
    private(set) var foreign: UInt64 = 0
    /// Numbers that were left out by what came behind them, and may still come: of a member and a publisher each. Above the bound one that
    /// comes after all is taken for a repeat.
    private var skipped: [Int: Set<UInt32>] = [:]
    private var skippedCount = 0
    private static let skippedLimit = 1_000_000

    init(_ plan: LoadPlan) {
        self.groupOfMember = plan.groupOfMember
        self.memberCounts = (0..<plan.groups).map { plan.members(of: $0).count }
        self.publishersPerGroup = plan.publishersPerGroup
        self.nextNumbers = Array(repeating: 0, count: plan.connections * plan.publishersPerGroup)
        self.hashes = Array(repeating: 0, count: plan.connections)
        self.sent = Array(repeating: 0, count: plan.groups * plan.publishersPerGroup)
    }

    /// The number of the next message of a publisher, which counts as sent from here on.
    mutating func publish(by publisher: Int, in group: Int) -> UInt32 {
        let index = group * self.publishersPerGroup + publisher
        let number = self.sent[index]
        self.sent[index] += 1
        self.published += 1
        self.expected += UInt64(self.memberCounts[group])
        return number
    }

    mutating func receive(_ mark: MessageStamp, by member: Int) -> DeliveryResult {
        guard mark.group == self.groupOfMember[member], mark.publisher < self.publishersPerGroup
        else {
            self.foreign += 1
            return .foreign
        }
        let index = member * self.publishersPerGroup + Int(mark.publisher)
        let expected = self.nextNumbers[index]
        guard mark.number >= expected else { return self.receiveAgain(mark, index) }
        if mark.number > expected { self.recordSkipped(expected..<mark.number, index) }
        self.nextNumbers[index] = mark.number + 1
        self.hashes[member] =
            (self.hashes[member] ^ (UInt64(mark.publisher) << 32 | UInt64(mark.number)))
            &* 0x9E37_79B9_7F4A_7C15
        self.received += 1
        return .counted
    }

    private mutating func recordSkipped(_ numbers: Range<UInt32>, _ index: Int) {
        guard self.skippedCount + numbers.count <= Self.skippedLimit else { return }
        self.skippedCount += numbers.count
        self.skipped[index, default: []].formUnion(numbers)
    }

    private mutating func receiveAgain(_ mark: MessageStamp, _ index: Int) -> DeliveryResult {
        guard self.skipped[index]?.remove(mark.number) != nil else {
            self.repeated += 1
            return .repeated
        }
        self.skippedCount -= 1
        self.late += 1
        self.received += 1
        return .late
    }

    var lost: UInt64 { self.expected > self.received ? self.expected - self.received : 0 }

    /// How many members have heard something else, or in another order, than the first one of their conversation.
    func membersOutOfOrder(_ plan: LoadPlan) -> Int {
        (0..<plan.groups).reduce(0) { count, group in
            let members = plan.members(of: group)
            return count
                + members.filter { self.hashes[$0] != self.hashes[members.lowerBound] }.count
        }
    }
}
