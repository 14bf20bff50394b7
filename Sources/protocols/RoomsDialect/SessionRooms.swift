import Bytes
import Synchronization

/// The rooms of each session that is or was in more than one.
///
/// A connection may break before the client has received the offset that includes a new room. If
/// the client resumed with the previous offset, it would believe that it is in that room and miss
/// its messages. A session in its first room needs no entry, because its previous offset has no
/// room.
///
/// Every node has its own entries and broadcasts changes to the other nodes. If a node misses one,
/// or has dropped it, it accepts the offset.
final class SessionRooms: Sendable {
    private struct State {
        var fingerprints: [String: String] = [:]
        /// Oldest first.
        var insertionOrder: [String] = []
    }

    private let state = Mutex(State())
    private let limit: Int
    /// Separates the session from its rooms in broadcasts. Not allowed in a session id.
    private static let separator: Character = " "

    init(limit: Int = 65_536) {
        self.limit = limit
    }

    /// The broadcast about a session that is in these rooms.
    static func broadcastText(_ sid: String, in rooms: some Collection<ByteString>) -> String {
        "\(sid)\(self.separator)\(self.fingerprint(of: rooms))"
    }

    /// The same for the same rooms in any order. For more rooms than an offset can list, it matches
    /// no offset.
    private static func fingerprint(of rooms: some Collection<ByteString>) -> String {
        guard rooms.count <= RoomOffset.roomLimit else { return RoomOffset.notRecoverable }
        let names = ByteString(rooms.sorted().map(\.string).joined(separator: ","))
        return String(StableHash.of(names), radix: 16)
    }

    /// Records a text of `broadcastText`, from this node or another.
    ///
    /// - Returns: whether the text has that form.
    @discardableResult
    func record(_ text: String) -> Bool {
        // Texts from other nodes are bounded too.
        let parts = text.split(separator: Self.separator, maxSplits: 1)
        guard text.utf8.count <= 64, parts.count == 2 else { return false }
        let sid = String(parts[0])
        self.state.withLock { state in
            guard state.fingerprints.updateValue(String(parts[1]), forKey: sid) == nil else {
                return
            }
            state.insertionOrder.append(sid)
            guard state.insertionOrder.count > self.limit else { return }
            // Drops half of the entries at once, so that each entry is moved at most once.
            for old in state.insertionOrder.prefix(self.limit / 2) { state.fingerprints[old] = nil }
            state.insertionOrder.removeFirst(self.limit / 2)
        }
        return true
    }

    /// Whether a session is in exactly these rooms, as far as this node knows.
    func matches(_ rooms: some Collection<ByteString>, of sid: String) -> Bool {
        self.state.withLock { $0.fingerprints[sid] }.map { $0 == Self.fingerprint(of: rooms) }
            ?? true
    }
}
