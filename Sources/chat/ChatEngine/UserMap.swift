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
            case (let index?, let element?): self.elements[index] = element
            case (nil, let element?): self.insert(element)
            case (let index?, nil): self.remove(at: index)
            case (nil, nil): break
            }
        }
    }

    private func position(of user: UserID) -> Int? {
        guard self.elements.count <= Self.scanLimit else { return self.index[user] }
        // By index, not with `firstIndex(where:)`, which would copy each element.
        for index in self.elements.indices where self.elements[index].user == user { return index }
        return nil
    }

    /// Changes a user's value in place, if there is one.
    mutating func update(_ user: UserID, _ change: (inout Element) -> Void) {
        guard let index = self.position(of: user) else { return }
        change(&self.elements[index])
    }

    private mutating func insert(_ element: Element) {
        // It grows by a quarter instead of doubling, because most of these maps have reached their
        // final size.
        if self.elements.count == self.elements.capacity {
            self.elements.reserveCapacity(self.elements.count + self.elements.count / 4 + 1)
        }
        self.elements.append(element)
        if self.elements.count == Self.scanLimit + 1 {
            for (index, element) in self.elements.enumerated() { self.index[element.user] = index }
        } else if self.elements.count > Self.scanLimit {
            self.index[element.user] = self.elements.count - 1
        }
    }

    /// The last element takes its position.
    private mutating func remove(at index: Int) {
        let (removed, last) = (self.elements[index].user, self.elements.removeLast())
        if index < self.elements.count { self.elements[index] = last }
        if self.elements.count <= Self.scanLimit {
            self.index = [:]
        } else {
            self.index[removed] = nil
            if index < self.elements.count { self.index[last.user] = index }
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
