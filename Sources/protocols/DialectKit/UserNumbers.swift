public import Bytes
public import ChatModel

/// A cache of the numbers by which some protocols identify users.
///
/// A user's number never changes, so cached entries never become stale.
public struct UserNumbers: Sendable {
    private struct Key: Hashable {
        let tenant: ByteString
        let user: UserID
    }

    private var numbers: [Key: Int] = [:]

    /// The maximum number of entries. A full cache is emptied and filled again.
    private static let limit = 100_000

    public init() {}

    /// Nil if the number must be looked up.
    public func number(of user: UserID, in tenant: ByteString) -> Int? {
        Self.numericID(of: user) ?? self.numbers[Key(tenant: tenant, user: user)]
    }

    /// Records the numbers from the store.
    ///
    /// - Parameter numbers: in the order of the users.
    public mutating func record(_ numbers: [Int], of users: [UserID], in tenant: ByteString) {
        if self.numbers.count + users.count > Self.limit { self.numbers = [:] }
        for (user, number) in zip(users, numbers) {
            self.numbers[Key(tenant: tenant, user: user)] = number
        }
    }

    /// The first number of guests. It is far above the assigned range, and all are exact in
    /// JavaScript.
    private static let firstGuestNumber = 1 << 52

    /// The number of a user that needs none from the store: one whose id is a canonical decimal
    /// below the assigned range, and a guest with a key, which is 48 bits. A connection without a
    /// token stores nothing for its number.
    public static func numericID(of user: UserID) -> Int? {
        if user.hasGuestKey, let key = user.guestKey,
            let bytes = Base64URL.decode(key.string.utf8)
        {
            return bytes.reduce(0) { $0 << 8 | Int($1) } + self.firstGuestNumber
        }
        guard !user.isAnonymous, let number = MessageID.sequence(user.storageKey.string),
            number < StoreRequest.firstUserNumber
        else { return nil }
        return number
    }
}
