import Bytes
import ChatModel

/// Numbers the users of a loop's connections, so that comparing two users is comparing two
/// integers.
struct UserTable {
    private struct Key: Hashable {
        let tenant: ByteString
        let user: UserID
    }

    private var index: [Key: UInt32] = [:]
    private var entries: [(key: Key, connections: Int)] = []
    private var free: [UInt32] = []
    static let noUser = UInt32.max

    var count: Int { self.index.count }

    /// Counts a connection of a user and returns the user's number.
    mutating func addConnection(_ user: UserID, of tenant: ByteString) -> UInt32 {
        let key = Key(tenant: tenant, user: user)
        if let number = self.index[key] {
            self.entries[Int(number)].connections += 1
            return number
        }
        if let number = self.free.popLast() {
            self.entries[Int(number)] = (key, 1)
            self.index[key] = number
            return number
        }
        self.entries.append((key, 1))
        self.index[key] = UInt32(self.entries.count - 1)
        return UInt32(self.entries.count - 1)
    }

    mutating func removeConnection(_ number: UInt32) {
        guard number != Self.noUser else { return }
        self.entries[Int(number)].connections -= 1
        guard self.entries[Int(number)].connections == 0 else { return }
        self.index[self.entries[Int(number)].key] = nil
        // The name of a disconnected user is not retained.
        self.entries[Int(number)].key = Key(tenant: "", user: UserID(storageKey: ""))
        self.free.append(number)
    }

    func user(_ number: UInt32) -> UserID { self.entries[Int(number)].key.user }

    /// Whether an arbitrary number is this user's.
    func isUser(_ number: UInt32, _ user: UserID, of tenant: ByteString) -> Bool {
        Int(number) < self.entries.count && self.entries[Int(number)].key.user == user
            && self.entries[Int(number)].key.tenant == tenant
    }

    /// The number of a user with a connection on this loop; nil without one.
    func number(of user: UserID, in tenant: ByteString) -> UInt32? {
        self.index[Key(tenant: tenant, user: user)]
    }
}
