import ChatModel

/// The numbers of one tenant's users, and how far the tenant has counted, of a store in memory.
struct TenantNumbers {
    private var numbers: [UserID: Int] = [:]
    /// By their numbers, from the first on.
    private var users: [UserID] = []
    private var counter = 0

    /// The user's number, which it gets if it has none.
    mutating func number(of user: UserID) -> Int {
        if let number = self.numbers[user] { return number }
        let number = StoreRequest.firstUserNumber + self.users.count
        self.users.append(user)
        self.numbers[user] = number
        return number
    }

    func user(numbered number: Int) -> UserID? {
        let place = number.subtractingReportingOverflow(StoreRequest.firstUserNumber)
        return !place.overflow && self.users.indices.contains(place.partialValue)
            ? self.users[place.partialValue] : nil
    }

    /// Counts on by one.
    mutating func incrementCounter() -> Int {
        self.counter += 1
        return self.counter
    }
}
