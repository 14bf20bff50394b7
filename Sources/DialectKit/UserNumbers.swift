public import Bytes
public import ChatModel

/// The numbers by which some protocols know users, as far as they have been looked up.
///
/// A number is for good, so that nothing in here goes out of date.
public struct UserNumbers: Sendable {
    private struct Key: Hashable {
        let tenant: ByteString
        let user: UserID
    }

    private var numbers: [Key: Int] = [:]

    /// So many are kept; then all are forgotten and looked up again.
    private static let limit = 100_000

    public init() {}

    /// Nil: it has to be looked up.
    public func number(of user: UserID, in tenant: ByteString) -> Int? {
        Self.numericID(of: user) ?? self.numbers[Key(tenant: tenant, user: user)]
    }

    /// Takes what the store says.
    ///
    /// - Parameter numbers: in the order of the users.
    public mutating func record(_ numbers: [Int], of users: [UserID], in tenant: ByteString) {
        if self.numbers.count + users.count > Self.limit { self.numbers = [:] }
        for (user, number) in zip(users, numbers) {
            self.numbers[Key(tenant: tenant, user: user)] = number
        }
    }

    /// Users whose id is a number already are known by it: a canonical decimal below those that are given out.
    public static func numericID(of user: UserID) -> Int? {
        guard !user.isAnonymous, let number = MessageID.sequence(user.storageKey.string),
            number < StoreRequest.firstUserNumber
        else { return nil }
        return number
    }
}
