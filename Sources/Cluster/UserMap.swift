import ChatModel

/// A map from users to values, in no particular order.
///
/// While it is small, as in most conversations, it is a list: half the size of a dictionary, and
/// there can be very many of these maps.
struct UserMap<Element: UserKeyed>: Sendable {
    private var elements: [Element] = []
    /// Empty while the map is small.
    private var index: [UserID: Int] = [:]
    private static var scanLimit: Int { 32 }

    init() {}

    var count: Int { self.elements.count }
    var values: [Element] { self.elements }

    /// A value must belong to the user under whose id it is set.
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
        // By index, not with `firstIndex(where:)`, which would copy each element.
        for place in self.elements.indices where self.elements[place].user == user { return place }
        return nil
    }

    /// Changes a user's value in place, if there is one.
    mutating func update(_ user: UserID, _ change: (inout Element) -> Void) {
        guard let place = self.position(of: user) else { return }
        change(&self.elements[place])
    }

    private mutating func insert(_ element: Element) {
        // It grows by a quarter instead of doubling, because most of these maps have reached their
        // final size.
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

    /// The last element takes its position.
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

/// A value that belongs to a user.
protocol UserKeyed: Sendable {
    var user: UserID { get }
}

extension Person: UserKeyed {
    var user: UserID { self.id }
}
