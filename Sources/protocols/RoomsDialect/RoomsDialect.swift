import Bytes
public import ChatModel
public import DialectKit
public import EngineIO
import Identity
import SocketIO

/// The Rooms protocol (seed `002`): events of Socket.IO v5 over Engine.IO v4, at `/socket.io/`.
public struct RoomsDialect: EngineDialect {
    public let name: StaticString = "rooms"
    public let enginePath: StaticString = "/socket.io"
    public let engineSettings: EngineSettings
    private let context: RoomsContext

    /// - Parameters:
    ///   - key: signs the recovery tokens; the same on all nodes.
    ///   - connectTimeout: the milliseconds within which a client must send CONNECT.
    public init(
        key: RecoveryKey, engine: EngineSettings = EngineSettings(), connectTimeout: Int64 = 45_000
    ) {
        self.engineSettings = engine
        self.context = RoomsContext(key: key, limits: SocketLimits(connectTimeout: connectTimeout))
    }

    /// An unauthorized client is rejected later by CONNECT_ERROR, which Socket.IO clients can
    /// handle.
    public func open(_ request: DialectRequest) -> OpenResult? {
        guard request.path == ["socket.io"] else { return nil }
        return .session(
            RoomsSession(
                self.context, request.credentials, allowsAnonymous: request.allowsAnonymous))
    }

    public func resume(_ snapshot: String, allowsAnonymous: Bool, at now: Int64) -> (
        any DialectSession
    )? {
        RoomsSession(self.context, snapshot: snapshot, allowsAnonymous: allowsAnonymous, at: now)
    }

    /// The frame with the new offset follows that of its message.
    public func isCompanion(_ packet: RawSpan) -> Bool { packet.isOffset }

    public func receiveBroadcast(_ text: String) {
        if !self.context.sessionRooms.record(text) { self.context.closedSessions.insert(text) }
    }

    public func render(
        _ event: ChatEvent, in conversation: ConversationKey, into rendering: inout Rendering
    ) {
        guard !conversation.isInbox else { return }
        let room = conversation.id
        switch event {
        case .posted(let message):
            rendering.text.append(roomsEvent: "new_message") {
                $0.append(message: message, inRoom: room)
            }
            rendering.finishFrame()
            rendering.text.append(offset: RoomOffset(room: room, through: message.sequence).text)
            rendering.finishFrame(for: .everybody, unlessTracked: true)
        case .edited(let message):
            rendering.text.append(roomsEvent: "message.edited") {
                $0.append(message: message, inRoom: room)
            }
            rendering.finishFrame()
        case .deleted(let message):
            rendering.text.append(roomsEvent: "message.deleted") {
                $0.append(message: message, inRoom: room)
            }
            rendering.finishFrame()
        case .reacted(let message):
            rendering.text.append(roomsEvent: "reactions") {
                $0.append(roomID: room)
                $0.append(reactionsTo: message)
                $0.append("}")
            }
            rendering.finishFrame()
        case .pinned(let message), .unpinned(let message):
            rendering.text.append(roomsEvent: message.isPinned ? "pinned" : "unpinned") {
                $0.append(roomID: room)
                $0.append(pinOf: message, inRoom: room)
                $0.append("}")
            }
            rendering.finishFrame()
        case .typing(let person, let isTyping):
            rendering.text.append(roomsEvent: "user_typing") {
                $0.append(typing: person, isTyping, inRoom: room)
            }
            rendering.finishFrame(for: .others(person.id))
        case .presence(let changes):
            // Members that have left were reported when they left.
            for change in changes where change.isOnline || change.isMember {
                rendering.text.append(roomsEvent: change.isOnline ? "user_joined" : "user_left") {
                    $0.append(
                        joinOrLeaveOf: change.person.id, change.person.name, inRoom: room,
                        at: change.at)
                }
                rendering.finishFrame(for: .others(change.person.id))
            }
        case .crowd(let online, let changes):
            rendering.text.append(roomsEvent: "presence") {
                $0.append(presenceSummary: online, changes, inRoom: room)
            }
            rendering.finishFrame()
        case .left(let member, let at):
            rendering.text.append(roomsEvent: "user_left") {
                $0.append(joinOrLeaveOf: member.user, member.name, inRoom: room, at: at)
            }
            rendering.finishFrame(for: .others(member.user))
        case .ended(let user, let at):
            rendering.text.append(roomsEvent: "conversation_ended") {
                $0.append(endedBy: user, inRoom: room, at: at)
            }
            rendering.finishFrame()
        case .updated(let record, let person, let revision):
            rendering.text.append(roomsEvent: "conversation_updated") {
                $0.append(roomID: room)
                $0.append(#""conversation":"#)
                $0.append(propertiesOf: record, inRoom: room)
                $0.append("}")
                $0.append(updatedBy: person, revision)
                $0.append("}")
            }
            rendering.finishFrame()
        case .created, .joined, .renamed, .read, .status:
            break  // The protocol has no events for these.
        }
    }
}

/// The state that all sessions of a node share.
final class RoomsContext: Sendable {
    let key: RecoveryKey
    let limits: SocketLimits
    let closedSessions = ClosedSessions()
    let sessionRooms = SessionRooms()
    /// Makes the keys of guests; replaceable for tests.
    let makeGuestKey: @Sendable () -> ByteString

    init(
        key: RecoveryKey, limits: SocketLimits,
        makeGuestKey: @escaping @Sendable () -> ByteString = { GuestKey.randomKey() }
    ) {
        self.key = key
        self.limits = limits
        self.makeGuestKey = makeGuestKey
    }
}

extension ConversationTemplate {
    /// Rooms are shared by a link and listed for everybody, so any user may join.
    public static let rooms = ConversationTemplate(
        origin: "rooms", joinPolicy: .open, isListed: true)
}
