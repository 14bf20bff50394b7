import ChatCore
import ChatModel

/// The users that the subscribers know to be online.
extension Feed {
    /// The changes that are new to the subscribers. They count as delivered. A guest whose id
    /// another one had is announced again, after that one went offline.
    mutating func presenceChanges(in changes: [PresenceChange], at now: ClockReading)
        -> [PresenceChange]
    {
        if self.isCrowd {
            return self.presenceChangesAfterCrowd(changes.filter(\.isOnline), at: now)
        }
        let newChanges = changes.filter {
            (self.knownOnline[$0.person.id] != nil) != $0.isOnline
                || $0.isOnline && $0.person.id.isConnectionGuest
        }
        self.recordPresence(newChanges)
        return newChanges
    }

    /// The changes that bring the subscribers to the presence state in the owner's answer.
    ///
    /// - Parameter joiningUser: the joining user. The owner leaves it out of its answer.
    mutating func presenceChanges(
        toReach joinResult: JoinResult, joiningUser: UserID? = nil, at now: ClockReading
    ) -> [PresenceChange] {
        if joinResult.isCrowd {
            self.isCrowd = true
            return []
        }
        if self.isCrowd {
            return self.presenceChangesAfterCrowd(
                joinResult.present, joiningUser: joiningUser, at: now)
        }
        let arrivals = joinResult.present.filter { self.knownOnline[$0.person.id] == nil }
        // If no user has left, the number cannot have shrunk.
        let known =
            self.knownOnline.count + arrivals.count
            - (joiningUser.map { self.knownOnline[$0] == nil ? 0 : 1 } ?? 0)
        let newChanges =
            (known > joinResult.present.count
                ? self.departures(
                    missingFrom: joinResult.present, joiningUser: joiningUser, at: now)
                : [])
            + arrivals
        self.recordPresence(newChanges)
        return newChanges
    }

    /// Names all users again, because subscribers that joined during the crowd know none of them.
    private mutating func presenceChangesAfterCrowd(
        _ present: [PresenceChange], joiningUser: UserID? = nil, at now: ClockReading
    ) -> [PresenceChange] {
        self.isCrowd = false
        let newChanges =
            self.departures(missingFrom: present, joiningUser: joiningUser, at: now) + present
        self.recordPresence(newChanges)
        return newChanges
    }

    private func departures(
        missingFrom present: [PresenceChange], joiningUser: UserID?, at now: ClockReading
    ) -> [PresenceChange] {
        let online = Set(present.map(\.person.id))
        return self.knownOnline.values.filter { !online.contains($0.id) && $0.id != joiningUser }
            .sorted { $0.id < $1.id }
            .map { PresenceChange(person: $0, isOnline: false, at: now.wall) }
    }

    /// Records a crowd: the owner publishes its size and some of its joins and departures.
    mutating func recordCrowd(_ changes: [PresenceChange]) {
        self.isCrowd = true
        self.recordPresence(changes)
        // For a large crowd, the list of known users is dropped.
        if self.knownOnline.count > Self.knownOnlineLimit { self.knownOnline = UserMap() }
    }

    private mutating func recordPresence(_ changes: [PresenceChange]) {
        for change in changes {
            self.knownOnline[change.person.id] = change.isOnline ? change.person : nil
        }
    }
}
