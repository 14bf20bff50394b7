import ChatModel

/// What is known of some people, by their ids.
///
/// A list while they are few, as in most conversations: half of what a dictionary takes, and there may be very many of these tables. In no
/// order that means anything.
struct UserMap<Element: UserKeyed>: Sendable {
    private var elements: [Element] = []
    /// Empty while they are few.
    private var index: [UserID: Int] = [:]
    private static var scanLimit: Int { 32 }

    init() {}

    var count: Int { self.elements.count }
    var values: [Element] { self.elements }

    /// What is set for somebody must be of that user.
    subscript(user: UserID) -> Element? {
        get { self.position(of: user).map { self.elements[$0] } }
        set {
            switch (self.position(of: user), newValue) {
            case (let place?, let element?): self.elements[place] = element
            case (nil, let element?): self.insert(element)
            case (let place?, nil): self.remove(at: place)
            case (nil, nil): break
            }
        }
    }

    private func position(of user: UserID) -> Int? {
        guard self.elements.count <= Self.scanLimit else { return self.index[user] }
        // By number, not by `firstIndex(where:)`, which would copy each of them.
        for place in self.elements.indices where self.elements[place].user == user { return place }
        return nil
    }

    /// Changes what is known of somebody, in place; of whom nothing is known, nothing happens.
    mutating func update(_ user: UserID, _ change: (inout Element) -> Void) {
        guard let place = self.position(of: user) else { return }
        change(&self.elements[place])
    }

    private mutating func insert(_ element: Element) {
        // By a quarter, not by doubling: most of these tables have done growing.
        if self.elements.count == self.elements.capacity {
            self.elements.reserveCapacity(self.elements.count + self.elements.count / 4 + 1)
        }
        self.elements.append(element)
        if self.elements.count == Self.scanLimit + 1 {
            for (place, element) in self.elements.enumerated() { self.index[element.user] = place }
        } else if self.elements.count > Self.scanLimit {
            self.index[element.user] = self.elements.count - 1
        }
    }

    /// The last one takes the place.
    private mutating func remove(at place: Int) {
        let (gone, last) = (self.elements[place].user, self.elements.removeLast())
        if place < self.elements.count { self.elements[place] = last }
        if self.elements.count <= Self.scanLimit {
            self.index = [:]
        } else {
            self.index[gone] = nil
            if place < self.elements.count { self.index[last.user] = place }
        }
        if self.elements.isEmpty { self.elements = [] }
    }
}

/// Something about a user.
protocol UserKeyed: Sendable {
    var user: UserID { get }
}

extension Person: UserKeyed {
    var user: UserID { self.id }
}
