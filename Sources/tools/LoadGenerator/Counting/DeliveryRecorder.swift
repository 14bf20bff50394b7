/// Records sent and received messages, and detects lost, repeated, misdirected and reordered ones.
///
/// Every member has one counter per publisher of its conversation, with the next expected number.
/// It also has a hash over everything received, in order. Two members of a conversation with equal
/// hashes have received the same messages in the same order.
struct DeliveryRecorder {
    enum DeliveryResult: Equatable {
        case counted
        /// After a later message of the same publisher.
        case late
        case repeated
        /// From another conversation, or from a member that does not publish.
        case foreign
    }

    private let groupOfMember: [UInt32]
    private let memberCounts: [Int]
    private let publishersPerGroup: Int

    private var nextNumbers: [UInt32]
    private var hashes: [UInt64]
    private var sent: [UInt32]

    private(set) var published: UInt64 = 0
    /// How many deliveries the published messages must cause.
    private(set) var expected: UInt64 = 0
    private(set) var received: UInt64 = 0
    private(set) var late: UInt64 = 0
    private(set) var repeated: UInt64 = 0
    private(set) var foreign: UInt64 = 0
    /// Skipped numbers that may still arrive, by member and publisher. Above the limit numbers are
    /// no longer recorded, and a late message counts as repeated.
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

    /// Returns the number of the publisher's next message, and counts it as sent.
    mutating func publish(by publisher: Int, in group: Int) -> UInt32 {
        let index = group * self.publishersPerGroup + publisher
        let number = self.sent[index]
        self.sent[index] += 1
        self.published += 1
        self.expected += UInt64(self.memberCounts[group])
        return number
    }

    mutating func receive(_ stamp: MessageStamp, by member: Int) -> DeliveryResult {
        guard stamp.group == self.groupOfMember[member], stamp.publisher < self.publishersPerGroup
        else {
            self.foreign += 1
            return .foreign
        }
        let index = member * self.publishersPerGroup + Int(stamp.publisher)
        let expected = self.nextNumbers[index]
        guard stamp.number >= expected else { return self.receiveAgain(stamp, index) }
        if stamp.number > expected { self.recordSkipped(expected..<stamp.number, index) }
        self.nextNumbers[index] = stamp.number + 1
        self.hashes[member] =
            (self.hashes[member] ^ (UInt64(stamp.publisher) << 32 | UInt64(stamp.number)))
            &* 0x9E37_79B9_7F4A_7C15
        self.received += 1
        return .counted
    }

    private mutating func recordSkipped(_ numbers: Range<UInt32>, _ index: Int) {
        guard self.skippedCount + numbers.count <= Self.skippedLimit else { return }
        self.skippedCount += numbers.count
        self.skipped[index, default: []].formUnion(numbers)
    }

    private mutating func receiveAgain(_ stamp: MessageStamp, _ index: Int) -> DeliveryResult {
        guard self.skipped[index]?.remove(stamp.number) != nil else {
            self.repeated += 1
            return .repeated
        }
        self.skippedCount -= 1
        self.late += 1
        self.received += 1
        return .late
    }

    var lost: UInt64 { self.expected > self.received ? self.expected - self.received : 0 }

    /// The number of members whose messages or their order differ from those of the first member of
    /// their conversation.
    func membersOutOfOrder(_ plan: LoadPlan) -> Int {
        (0..<plan.groups).reduce(0) { count, group in
            let members = plan.members(of: group)
            return count
                + members.filter { self.hashes[$0] != self.hashes[members.lowerBound] }.count
        }
    }
}
