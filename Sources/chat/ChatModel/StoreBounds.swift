/// The limits that apply to every store.
extension StoreRequest {
    /// The most entries in a page of memberships or of a catalog.
    public static let listLimit = 200
    /// The most messages in a page of search results.
    public static let searchLimit = 100
    /// The most users, or user numbers, in one request. A request with more fails.
    public static let usersPerRequestLimit = 1000
    /// The lowest number that a user can get.
    public static let firstUserNumber = 1 << 40

    /// The limit of a list page, clamped to 1 … `listLimit`.
    public static func clampedListLimit(_ limit: Int) -> Int {
        max(1, min(limit, self.listLimit))
    }

    /// The limit of a page of search results, clamped to 1 … `searchLimit`.
    public static func clampedSearchLimit(_ limit: Int) -> Int {
        max(1, min(limit, self.searchLimit))
    }

    /// The failure of a ban that has no place.
    public static let tooManyBans = StoreFailure(
        "there are \(Ban.countLimit) bans; remove some with `confab unban`",
        isRequestSpecific: true, effect: .none)

    /// The failure of a request with more users or numbers than any store accepts.
    public var limitViolation: StoreFailure? {
        let (count, what) =
            switch self {
            case .numbers(let users, _): (users.count, "users")
            case .users(let numbers, _): (numbers.count, "numbers")
            default: (0, "")
            }
        guard count > Self.usersPerRequestLimit else { return nil }
        return StoreFailure(
            "\(count) \(what) in one request; the limit is \(Self.usersPerRequestLimit)",
            isRequestSpecific: true)
    }
}
