import Bytes
import Synchronization

/// Which rooms each session is in, of those that are or were in more than one.
///
/// A connection may break before the offset that lists a room has come. Whoever goes on with the offset from before would take itself for
/// one who is in that room, and hear nothing of it. A session in its first room needs no entry: the offset from before lists no room.
///
/// Of each node by itself, which tells the others. A node that is not told, or has forgotten, believes the offset.
final class SessionRooms: Sendable {
    private struct State {
        var fingerprints: [String: String] = [:]
        /// The oldest first.
        var insertionOrder: [String] = []
    }

    private let state = Mutex(State())
    private let limit: Int
    /// Parts a session from its rooms in what nodes tell each other; no session's id has it.
    private static let separator: Character = " "

    init(limit: Int = 65_536) {
        self.limit = limit
    }

    /// What nodes tell each other of a session that is in these rooms.
    static func broadcastText(_ sid: String, in rooms: some Collection<ByteString>) -> String {
        "\(sid)\(self.separator)\(self.fingerprint(of: rooms))"
    }

    /// What stands for rooms, in whatever order: the same for the same ones. For more than an offset can list it is no offset's.
    private static func fingerprint(of rooms: some Collection<ByteString>) -> String {
        guard rooms.count <= RoomOffset.roomLimit else { return RoomOffset.notRecoverable }
        let names = ByteString(rooms.sorted().map(\.string).joined(separator: ","))
        return String(StableHash.of(names), radix: 16)
    }

    /// Takes what `word` wrote, here or at another node.
    ///
    /// - Returns: whether it was such a word.
    @discardableResult
    func record(_ word: String) -> Bool {
        // What other nodes say is bounded, too.
        let parts = word.split(separator: Self.separator, maxSplits: 1)
        guard word.utf8.count <= 64, parts.count == 2 else { return false }
        let sid = String(parts[0])
        self.state.withLock { state in
            guard state.fingerprints.updateValue(String(parts[1]), forKey: sid) == nil else {
                return
            }
            state.insertionOrder.append(sid)
            guard state.insertionOrder.count > self.limit else { return }
            // Half of them at once, so that each is moved once.
            for old in state.insertionOrder.prefix(self.limit / 2) { state.fingerprints[old] = nil }
            state.insertionOrder.removeFirst(self.limit / 2)
        }
        return true
    }

    /// Whether a session is in these rooms and no others, as far as it is known here.
    func matches(_ rooms: some Collection<ByteString>, of sid: String) -> Bool {
        self.state.withLock { $0.fingerprints[sid] }.map { $0 == Self.fingerprint(of: rooms) }
            ?? true
    }
}
