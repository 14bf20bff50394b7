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

    /// The number of a user whose id is itself a number: a canonical decimal below the assigned
    /// range.
    public static func numericID(of user: UserID) -> Int? {
        guard !user.isAnonymous, let number = MessageID.sequence(user.storageKey.string),
            number < StoreRequest.firstUserNumber
        else { return nil }
        return number
    }
}
