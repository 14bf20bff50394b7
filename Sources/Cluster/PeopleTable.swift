import ChatModel

/// What is known of some people, by their ids.
///
/// A list while they are few, as in most conversations: half of what a dictionary takes, and there may be very many of these tables. In no
/// order that means anything.
struct PeopleTable<Element: OfUser>: Sendable {
    private var list: [Element] = []
    /// Empty while they are few.
    private var index: [UserID: Int] = [:]
    private static var scanLimit: Int { 32 }

    init() {}

    var count: Int { self.list.count }
    var values: [Element] { self.list }

    /// What is set for somebody must be of that user.
    subscript(user: UserID) -> Element? {
        get { self.place(of: user).map { self.list[$0] } }
        set {
            switch (self.place(of: user), newValue) {
            case (let place?, let element?): self.list[place] = element
            case (nil, let element?): self.insert(element)
            case (let place?, nil): self.remove(at: place)
            case (nil, nil): break
            }
        }
    }

    private func place(of user: UserID) -> Int? {
        guard self.list.count <= Self.scanLimit else { return self.index[user] }
        // By number, not by `firstIndex(where:)`, which would copy each of them.
        for place in self.list.indices where self.list[place].user == user { return place }
        return nil
    }

    /// Changes what is known of somebody, in place; of whom nothing is known, nothing happens.
    mutating func update(_ user: UserID, _ change: (inout Element) -> Void) {
        guard let place = self.place(of: user) else { return }
        change(&self.list[place])
    }

    private mutating func insert(_ element: Element) {
        // By a quarter, not by doubling: most of these tables have done growing.
        if self.list.count == self.list.capacity { self.list.reserveCapacity(self.list.count + self.list.count / 4 + 1) }
        self.list.append(element)
        if self.list.count == Self.scanLimit + 1 {
            for (place, element) in self.list.enumerated() { self.index[element.user] = place }
        } else if self.list.count > Self.scanLimit {
            self.index[element.user] = self.list.count - 1
        }
    }

    /// The last one takes the place.
    private mutating func remove(at place: Int) {
        let (gone, last) = (self.list[place].user, self.list.removeLast())
        if place < self.list.count { self.list[place] = last }
        if self.list.count <= Self.scanLimit {
            self.index = [:]
        } else {
            self.index[gone] = nil
            if place < self.list.count { self.index[last.user] = place }
        }
        if self.list.isEmpty { self.list = [] }
    }
}

/// Something about a user.
protocol OfUser: Sendable {
    var user: UserID { get }
}

extension Person: OfUser {
    var user: UserID { self.id }
}
