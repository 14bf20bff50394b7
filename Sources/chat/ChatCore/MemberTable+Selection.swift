import Bytes
import ChatModel

/// Selects members for an answer without copying the others.
extension MemberTable {
    struct Selected {
        var numbers: [UInt32] = []
        /// See `ConversationDetails`.
        var participantCount: Int
        var readers: [UInt32] = []
    }

    mutating func select(_ selection: MemberSelection, showsAllGuests: Bool) -> Selected {
        switch selection {
        case .shown(let limit): return self.shown(limit, showsAllGuests)
        case .shownWithReaders(let limit):
            var selected = self.shown(limit, showsAllGuests)
            selected.readers = self.readers
            return selected
        case .page(let user, let limit):
            return Selected(
                numbers: self.page(after: user, limit: limit), participantCount: self.memberCount)
        }
    }

    private func shown(_ limit: Int, _ showsAllGuests: Bool) -> Selected {
        guard limit > 0 else { return Selected(participantCount: self.memberCount) }
        let isComplete = self.memberCount <= max(MemberSelection.limit, limit)
        var numbers =
            isComplete
            ? (0..<UInt32(self.count)).filter(self.isMember) : self.presentFirst(limit: limit)
        if !showsAllGuests { numbers = self.withoutRepeatedGuests(numbers) }
        let count = isComplete ? numbers.count : self.memberCount
        if numbers.count > limit {
            let present = numbers.filter { self[$0].isPresent }
            let absent = numbers.lazy.filter { !self[$0].isPresent }
            numbers =
                present.count < limit
                ? present + absent.prefix(limit - present.count)
                : Array(present.prefix(limit))
        }
        return Selected(numbers: numbers, participantCount: count)
    }

    /// Present members, then absent ones in the order in which they joined.
    private func presentFirst(limit: Int) -> [UInt32] {
        var numbers: [UInt32] = []
        for number in self.active where self[number].isPresent && self.isMember(number) {
            guard numbers.count < limit else { break }
            numbers.append(number)
        }
        numbers.sort()
        for number in 0..<UInt32(self.count) {
            guard numbers.count < limit else { break }
            if self.isMember(number), !self[number].isPresent { numbers.append(number) }
        }
        return numbers
    }

    /// See `MemberSelection.shown`.
    private func withoutRepeatedGuests(_ numbers: [UInt32]) -> [UInt32] {
        var shown: [ByteString: UInt32] = [:]
        for number in numbers where self[number].member.user.isAnonymous {
            let name = self[number].member.user.name
            let other = shown[name]
            if other.map({ self[$0].isPresent && !self[number].isPresent }) != true {
                shown[name] = number
            }
        }
        guard !shown.isEmpty else { return numbers }
        return numbers.filter {
            let user = self[$0].member.user
            return !user.isAnonymous || self[$0].isPresent || shown[user.name] == $0
        }
    }

    /// The two members with the highest read cursors.
    private var readers: [UInt32] {
        var highest: [(number: UInt32, cursor: SequenceNumber)] = []
        for number in 0..<UInt32(self.count) where self.isMember(number) {
            let cursor = self.readCursor(of: number)
            guard highest.count < 2 || cursor > highest[1].cursor else { continue }
            highest.append((number, cursor))
            highest.sort { $0.cursor > $1.cursor }
            if highest.count > 2 { highest.removeLast() }
        }
        return highest.map(\.number)
    }
}
