public import ChatModel

/// The changes that an owner retains because the store may lose them.
extension Conversation {
    /// Retains a change that was sent to the store, because other nodes may receive it as soon as
    /// it is stored. Nothing is retained for a store that loses nothing.
    public mutating func retain(_ change: Write.Change, _ revision: Revision, at now: ClockReading)
    {
        self.retain(change, revision, isAcknowledged: false, at: now)
    }

    mutating func retain(
        _ change: Write.Change, _ revision: Revision, isAcknowledged: Bool, at now: ClockReading
    ) {
        guard self.rules.recovery.isEnabled, revision > self.retained.last?.revision ?? 0 else {
            return
        }
        // Not on every call: the element in the middle is in no cache.
        let half = self.retained.count / 2
        if half >= 16, self.retained.count % 16 == 0,
            !self.rules.recovery.retains(self.retained[half], at: now)
        {
            self.retained.removeFirst(half)
        }
        self.retained.append(
            RetainedWrite(
                revision: revision, change: change, storedAt: now.monotonic,
                isAcknowledged: isAcknowledged))
    }

    /// Discards a change that the store has definitely refused, and the later ones, which cannot be
    /// stored either. Acknowledged ones stay, because they are being written again.
    public mutating func discardRefused(_ change: Write.Change, _ revision: Revision) {
        guard let index = self.indexOfRetained(change, revision),
            !self.retained[index].isAcknowledged
        else { return }
        // Otherwise these changes would be written again, and the number missing before them would
        // count as lost.
        self.retained.removeSubrange(index...)
    }

    private func indexOfRetained(_ change: Write.Change, _ revision: Revision) -> Int? {
        guard let index = self.retained.lastIndex(where: { $0.revision <= revision }),
            self.retained[index].isSame(
                as: RetainedWrite(revision: revision, change: change, storedAt: 0))
        else { return nil }
        return index
    }

    /// Marks a change as acknowledged. Later retained changes are in flight, unless the store has
    /// another change under this revision: then they are discarded.
    public mutating func retainStored(
        _ change: Write.Change, _ revision: Revision, at now: ClockReading
    ) {
        guard self.rules.recovery.isEnabled else { return }
        if case .rewriting = self.phase { return }
        guard let last = self.retained.last, last.revision >= revision else {
            return self.retain(change, revision, isAcknowledged: true, at: now)
        }
        let stored = RetainedWrite(revision: revision, change: change, storedAt: now.monotonic)
        // From the end, where the changes in flight are.
        let index = (self.retained.lastIndex { $0.revision < revision } ?? -1) + 1
        if self.retained[index].revision > revision {
            self.retained.insert(stored, at: index)
        } else if self.retained[index].isSame(as: stored) {
            self.retained[index].isAcknowledged = true
        } else {
            self.retained.removeSubrange(index...)
            self.retained.append(stored)
        }
    }

    /// Discards the changes that the store, as just loaded, lacks and never acknowledged. They are
    /// never written again.
    mutating func discardUnacknowledged() {
        self.retained.removeAll { !$0.isAcknowledged && $0.revision > self.storedRevision }
    }

    /// The retained changes; none if the last of them is too old for any store to lose.
    func recentlyRetained(at now: ClockReading) -> [RetainedWrite] {
        guard let last = self.retained.last, self.rules.recovery.retains(last, at: now)
        else { return [] }
        return self.retained
    }

    /// The changes that a former owner keeps from its ownership.
    public func retainedWrites(at now: ClockReading) -> [RetainedWrite] {
        self.recentlyRetained(at: now).filter(\.isAcknowledged)
    }
}
