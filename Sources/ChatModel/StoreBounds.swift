/// The bounds that hold in every store.
extension StoreRequest {
    /// The most that a page of memberships, or of a catalog, has: a limit above it is taken for it, one below 1 for 1.
    public static let listLimit = 200
    /// The most users, or numbers of users, in one request: with more it fails.
    public static let usersPerRequestLimit = 1000
    /// The lowest number that is given to a user.
    public static let firstUserNumber = 1 << 40

    /// The limit of a page of a list that was asked for with this one.
    public static func clampedListLimit(_ limit: Int) -> Int {
        max(1, min(limit, self.listLimit))
    }

    /// The failure of a request that names more than any store takes at a time.
    public var limitViolation: StoreFailure? {
        let (count, what) =
            switch self {
            case .numbers(let users, _): (users.count, "users")
            case .users(let numbers, _): (numbers.count, "numbers")
            default: (0, "")
            }
        guard count > Self.usersPerRequestLimit else { return nil }
        return StoreFailure(
            "\(count) \(what) were named, and at most \(Self.usersPerRequestLimit) may be at a time",
            isRequestSpecific: true)
    }
}
