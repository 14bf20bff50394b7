import Bytes
import ChatModel
import DialectKit
import Identity

/// The position from which a reconnected client resumes (Socket.IO, "Connection state recovery"):
/// its rooms and the last message delivered in each.
///
/// The format is `room=17,other=3`. An anonymous client names itself, so its offset repeats the
/// name and id in base64url: `~<name>.<id>;room=17`. The offset is not signed, because the owner of
/// a room checks the access when the client enters it.
struct RoomOffset: Equatable {
    struct RoomPosition: Equatable {
        let room: ByteString
        let through: SequenceNumber
    }

    /// Clients in more rooms get no offset, because a client must resume in all of its rooms or in
    /// none.
    static let roomLimit = 16
    static let byteLimit = 4096
    /// Not allowed in the id of a room.
    private static let anonymousMark: Character = "~"

    /// The user that an anonymous client claims to be; nil if a token names the user.
    let anonymousUser: Person?
    let positions: [RoomPosition]

    init(anonymousUser: Person? = nil, positions: [RoomPosition]) {
        self.anonymousUser = anonymousUser
        self.positions = positions
    }

    /// Creates the offset of all clients that are only in this room and whose user a token names.
    init(room: ByteString, through: SequenceNumber) {
        self.init(positions: [RoomPosition(room: room, through: through)])
    }

    /// The offset of a client that cannot resume.
    static let notRecoverable = "-"

    /// The text for at most `roomLimit` rooms.
    var text: String {
        let rooms = self.positions.map { "\($0.room)=\($0.through)" }.joined(separator: ",")
        guard let anonymousUser else { return rooms }
        let name = Self.base64URL(anonymousUser.name)
        let id = Self.base64URL(anonymousUser.id.name)
        return "\(Self.anonymousMark)\(name).\(id);\(rooms)"
    }

    private static func base64URL(_ text: ByteString) -> String {
        Base64URL.encode(text.withBytes { Array($0) })
    }

    /// Parses an offset of a client; nil if no node can have written it.
    init?(_ text: String) {
        guard text.utf8.count <= Self.byteLimit, text != Self.notRecoverable else { return nil }
        var rooms = Substring(text)
        var anonymousUser: Person?
        if text.first == Self.anonymousMark {
            let halves = text.dropFirst().split(
                separator: ";", maxSplits: 1, omittingEmptySubsequences: false)
            let parts = halves[0].split(separator: ".", omittingEmptySubsequences: false)
            guard halves.count == 2, parts.count == 2, let name = Self.decodedName(parts[0]),
                let id = Self.decodedName(parts[1])
            else {
                return nil
            }
            anonymousUser = Person(id: UserID(anonymous: ByteString(id)), name: ByteString(name))
            rooms = halves[1]
        }
        var positions: [RoomPosition] = []
        for item in rooms.split(separator: ",") {
            let halves = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard halves.count == 2, IdentityRule.conversation.allows(String(halves[0])),
                let through = MessageID.sequence(String(halves[1])),
                positions.count < Self.roomLimit,
                !positions.contains(where: { $0.room == ByteString(String(halves[0])) })
            else { return nil }
            positions.append(RoomPosition(room: ByteString(String(halves[0])), through: through))
        }
        self.init(anonymousUser: anonymousUser, positions: positions)
    }

    private static func decodedName(_ text: Substring) -> String? {
        guard let bytes = Base64URL.decode(text.utf8),
            let name = String(validating: bytes, as: UTF8.self),
            IdentityRule.name.allows(name)
        else { return nil }
        return name
    }
}
