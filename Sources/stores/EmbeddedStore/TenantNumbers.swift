import ChatModel

/// The user numbers and the counter of one tenant, in an in-memory store.
struct TenantNumbers {
    private var numbers: [UserID: Int] = [:]
    /// The users in the order of their numbers.
    private var users: [UserID] = []
    private var counter = 0

    /// The user's number, assigned on the first request.
    mutating func number(of user: UserID) -> Int {
        if let number = self.numbers[user] { return number }
        let number = StoreRequest.firstUserNumber + self.users.count
        self.users.append(user)
        self.numbers[user] = number
        return number
    }

    func user(numbered number: Int) -> UserID? {
        let index = number.subtractingReportingOverflow(StoreRequest.firstUserNumber)
        return !index.overflow && self.users.indices.contains(index.partialValue)
            ? self.users[index.partialValue] : nil
    }

    /// Increments the counter.
    mutating func incrementCounter() -> Int {
        self.counter += 1
        return self.counter
    }
}
