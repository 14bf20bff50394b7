import Bytes
import ChatModel

/// Numbers the users of a loop's connections, so that comparing two users is comparing two
/// integers.
struct UserTable {
    private struct Key: Hashable {
        let tenant: ByteString
        let user: UserID
    }

    private struct Entry {
        let key: Key
        var connections: Int
    }

    private var index: [Key: UInt32] = [:]
    /// A free slot has no name: that of a disconnected user is not retained.
    private var entries = SlotList<SlotID, Entry>(
        vacant: Entry(key: Key(tenant: "", user: UserID(storageKey: "")), connections: 0))
    static let noUser = UInt32.max

    var count: Int { self.entries.count }

    /// Counts a connection of a user and returns the user's number.
    mutating func addConnection(_ user: UserID, of tenant: ByteString) -> UInt32 {
        let key = Key(tenant: tenant, user: user)
        if let number = self.index[key] {
            self.entries[number].connections += 1
            return number
        }
        let number = self.entries.insert(Entry(key: key, connections: 1)).slot
        self.index[key] = number
        return number
    }

    mutating func removeConnection(_ number: UInt32) {
        guard number != Self.noUser else { return }
        self.entries[number].connections -= 1
        guard self.entries[number].connections == 0 else { return }
        self.index[self.entries[number].key] = nil
        self.entries.remove(number)
    }

    func user(_ number: UInt32) -> UserID { self.entries[number].key.user }

    /// Whether an arbitrary number is this user's.
    func isUser(_ number: UInt32, _ user: UserID, of tenant: ByteString) -> Bool {
        self.entries.isOccupied(number) && self.entries[number].key.user == user
            && self.entries[number].key.tenant == tenant
    }

    /// The numbers of the users that others see under the id of this one: several, if that is the
    /// name of guests.
    func numbers(lookingLike user: UserID, in tenant: ByteString) -> [UInt32] {
        guard user.isAnonymous else { return self.number(of: user, in: tenant).map { [$0] } ?? [] }
        return self.index.lazy.filter { $0.key.tenant == tenant && $0.key.user.looksLike(user) }
            .map(\.value)
    }

    /// The number of a user with a connection on this loop; nil without one.
    func number(of user: UserID, in tenant: ByteString) -> UInt32? {
        self.index[Key(tenant: tenant, user: user)]
    }
}
