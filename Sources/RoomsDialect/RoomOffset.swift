import Bytes
import ChatModel
import DialectKit
import Identity

/// How far a client has come, as it brings it back when it goes on (Socket.IO, "Connection state recovery"): its rooms, and of each the
/// last message that it was sent.
///
/// `room=17,other=3`. Without a token the client says itself who it is, and says so here again: `~<name>.<id>;room=17`, in base64url. Not
/// signed: whether somebody may hear a room is judged when it is entered.
struct RoomOffset: Equatable {
    struct RoomPosition: Equatable {
        let room: ByteString
        let through: SequenceNumber
    }

    /// Above so many rooms there is no offset: nobody goes on with half of them.
    static let roomLimit = 16
    static let byteLimit = 4096
    /// No room's id has it.
    private static let anonymousMark: Character = "~"

    /// Who says to be whom, where no token says it.
    let anonymousUser: Person?
    let positions: [RoomPosition]

    init(anonymousUser stranger: Person? = nil, positions places: [RoomPosition]) {
        self.anonymousUser = stranger
        self.positions = places
    }

    /// The same for all who are in this room alone, and whom a token names.
    init(room: ByteString, through: SequenceNumber) {
        self.init(positions: [RoomPosition(room: room, through: through)])
    }

    /// Where a client is that cannot go on.
    static let notRecoverable = "-"

    /// Of so many rooms as there may be.
    var text: String {
        let rooms = self.positions.map { "\($0.room)=\($0.through)" }.joined(separator: ",")
        guard let anonymousUser else { return rooms }
        return
            "\(Self.anonymousMark)\(Self.base64URL(anonymousUser.name)).\(Self.base64URL(anonymousUser.id.name));\(rooms)"
    }

    private static func base64URL(_ text: ByteString) -> String {
        Base64URL.encode(text.withBytes { Array($0) })
    }

    /// What a client brings; nil when no server gave it.
    init?(_ text: String) {
        guard text.utf8.count <= Self.byteLimit, text != Self.notRecoverable else { return nil }
        var rooms = Substring(text)
        var stranger: Person?
        if text.first == Self.anonymousMark {
            let halves = text.dropFirst().split(
                separator: ";", maxSplits: 1, omittingEmptySubsequences: false)
            let parts = halves[0].split(separator: ".", omittingEmptySubsequences: false)
            guard halves.count == 2, parts.count == 2, let name = Self.decodedName(parts[0]),
                let id = Self.decodedName(parts[1])
            else {
                return nil
            }
            stranger = Person(id: UserID(anonymous: ByteString(id)), name: ByteString(name))
            rooms = halves[1]
        }
        var places: [RoomPosition] = []
        for item in rooms.split(separator: ",") {
            let halves = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard halves.count == 2, IdentityRule.conversation.allows(String(halves[0])),
                let through = MessageID.sequence(String(halves[1])),
                places.count < Self.roomLimit,
                !places.contains(where: { $0.room == ByteString(String(halves[0])) })
            else { return nil }
            places.append(RoomPosition(room: ByteString(String(halves[0])), through: through))
        }
        self.init(anonymousUser: stranger, positions: places)
    }

    private static func decodedName(_ text: Substring) -> String? {
        guard let bytes = Base64URL.decode(text.utf8),
            let name = String(validating: bytes, as: UTF8.self),
            IdentityRule.name.allows(name)
        else { return nil }
        return name
    }
}
