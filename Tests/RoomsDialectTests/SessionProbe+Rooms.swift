import Bytes
import ChatModel
import DialectKit
import DialectTestSupport
import Identity
import JSON
import RoomsDialect

/// A session of Rooms whose frames are checked by `PacketRule`.
struct RoomsProbe {
    private var probe: SessionProbe
    /// The broadcasts to all nodes.
    private(set) var broadcasts: [String] = []
    static let key = RecoveryKey(derivedFrom: Array("secret".utf8), cluster: "test")
    static let time = Timestamp(milliseconds: 1_769_860_800_123)

    /// Creates an opened session that has not received CONNECT.
    ///
    /// - Parameter dialect: the dialect of a node; nil for a new one.
    init(
        _ credentials: Credentials, allowsAnonymous: Bool = false,
        limits: Limits = Limits(), key: RecoveryKey = Self.key,
        at dialect: RoomsDialect? = nil
    ) {
        let request = DialectRequest(
            path: ["socket.io"], query: [], credentials: credentials,
            allowsAnonymous: allowsAnonymous, now: Timestamp(milliseconds: 0))
        self.probe = SessionProbe(dialect ?? RoomsDialect(key: key), request, limits: limits)
        _ = self.perform { session, steps in
            steps.now = Self.time
            session.opened(into: &steps)
        }
    }

    /// Ann, connected.
    static func ann(grants: Grants = .all, limits: Limits = Limits()) -> Self {
        var probe = Self(.ann(grants: grants), limits: limits)
        _ = probe.send("0")
        return probe
    }

    /// An anonymous user, connected.
    static func anonymous() -> Self {
        var probe = Self(.none, allowsAnonymous: true)
        _ = probe.send("0")
        return probe
    }

    /// Ann, who has joined these rooms without messages.
    static func ann(in rooms: String..., limits: Limits = Limits()) -> Self {
        var probe = Self.ann(limits: limits)
        for room in rooms { _ = probe.join(room) }
        return probe
    }

    var session: any DialectSession { self.probe.session }
    var tracksDeliveries: Bool { self.probe.tracksDeliveries }
    var wakeAt: Int64? { self.probe.wakeAt }

    mutating func send(
        _ packet: String, retryAfter: Double? = nil, exceededByteLimit: Int? = nil
    ) -> [String] {
        self.checked(
            self.probe.send(packet, retryAfter: retryAfter, exceededByteLimit: exceededByteLimit))
    }

    /// Collects broadcasts separately.
    private mutating func checked(_ steps: [String]) -> [String] {
        let steps = PacketRule.checked(steps)
        let prefix = "broadcast "
        self.broadcasts += steps.filter { $0.hasPrefix(prefix) }.map {
            String($0.dropFirst(prefix.count))
        }
        return steps.filter { !$0.hasPrefix(prefix) }
    }

    /// - Parameter ack: the acknowledgement id, if one is wanted.
    mutating func emit(
        _ event: String, _ argument: String?, ack: Int? = nil, retryAfter: Double? = nil
    ) -> [String] {
        self.send(
            #"2\#(ack.map(String.init) ?? "")["\#(event)"\#(argument.map { ",\($0)" } ?? "")]"#,
            retryAfter: retryAfter)
    }

    mutating func answer(
        _ answer: ChatAnswer, to index: Int? = nil, isDelivered: Bool = false
    ) -> [String] {
        self.checked(self.probe.answer(answer, to: index, isDelivered: isDelivered))
    }

    mutating func page(_ page: MessagePage?) -> [String] { self.checked(self.probe.page(page)) }

    mutating func perform(_ body: (inout any DialectSession, inout SessionSteps) -> Void)
        -> [String]
    {
        self.checked(self.probe.perform(body))
    }

    mutating func deliver(_ message: Message, in room: String) -> [String] {
        self.perform { $0.delivered(message, in: .rooms($0.tenant, room), into: &$1) }
    }

    mutating func startTrackingDeliveries(_ positions: (String, Int)...) -> [String] {
        self.perform { session, steps in
            session.startedTrackingDeliveries(
                at: positions.map { (ConversationKey.rooms(session.tenant, $0.0), $0.1) },
                into: &steps
            )
        }
    }

    /// Joins a room and answers all requests of the join.
    ///
    /// - Parameter identity: further fields such as `"user_id":"…"`, with a leading comma.
    /// - Returns: the steps after the last answer.
    mutating func join(_ room: String, as identity: String = "", head: Int = 0, ack: Int? = nil)
        -> [String]
    {
        _ = self.emit("join_room", #"{"room_id":"\#(room)"\#(identity)}"#, ack: ack)
        _ = self.answer(.joined(.at(head)))
        _ = self.answer(.described(.room(head: head)))
        return self.page(.of([], head: head))
    }

    var tags: [RequestTag] { self.probe.tags }
}

extension Credentials {
    static func ann(_ name: ByteString = "Ann", grants: Grants = .all, isAdmin: Bool = false)
        -> Self
    {
        .bearer(
            Identity(
                user: "ann", displayName: name, tenant: "tenant", grants: grants, isAdmin: isAdmin))
    }
}

extension ConversationKey {
    static func rooms(_ tenant: ByteString, _ room: String) -> Self {
        ConversationKey(tenant: tenant, id: ByteString(room))
    }
}

extension JoinResult {
    static func at(_ head: Int, ended: ConversationEnd? = nil) -> JoinResult {
        JoinResult(
            head: head, oldest: 1, revision: head + 1, ended: ended, present: [], presentCount: 0,
            isCrowd: false)
    }
}

extension ConversationDetails {
    static func room(head: Int, members: [Member] = [], isEnded: Bool = false)
        -> ConversationDetails
    {
        var record = ConversationRecord(
            .rooms, title: "Tea", dialectData: "at five",
            creator: UserID(tokenSubject: "ann"), createdAt: RoomsProbe.time)
        record.endedAt = isEnded ? RoomsProbe.time : nil
        return ConversationDetails(
            record: record, head: head, members: members, online: Set(members.prefix(1).map(\.user))
        )
    }
}

extension MessagePage {
    static func of(_ messages: [Message], head: Int) -> MessagePage {
        MessagePage(messages: messages, head: head, oldest: 1, revision: head + 1)
    }
}

extension Message {
    static func sent(_ sequence: Int, _ content: String = "x", by author: String = "ann") -> Message
    {
        Message(
            sequence: sequence, revision: sequence, sentAt: RoomsProbe.time,
            body: MessageBody(
                author: Person(id: UserID(tokenSubject: .init(author)), name: .init(author)),
                clientMessageID: nil, content: content))
    }
}

/// Frames of the server, as on the wire.
enum RoomsFrame {
    static let instant = "2026-01-31T12:00:00.123Z"

    static func offset(_ text: String) -> String { #"42["offset","\#(text)"]"# }
    static func error(_ errorText: String, _ event: String? = nil, localID: String? = nil) -> String
    {
        let send = event == "send_message" ? Self.failedSend(localID) : ""
        return
            #"""
            42["error",{"message":"\#(errorText)"\#(event.map { #","event":"\#($0)""# } ?? "")\#
            \#(send)}]
            """#
    }
    static func refusal(
        _ ack: Int, _ errorText: String, isSend: Bool = false, localID: String? = nil
    )
        -> String
    {
        #"""
        43\#(ack)[{"ok":false,"error":"\#(errorText)"\#(isSend ? Self.failedSend(localID) : "")}]
        """#
    }
    private static func failedSend(_ localID: String?) -> String {
        #","outcome":"refused""# + (localID.map { #","local_id":\#($0)"# } ?? "")
    }
    static func message(
        _ sequence: Int, in room: String, _ content: String = "x", by author: String = "ann"
    ) -> String {
        #"42["new_message",\#(Self.messageFields(sequence, in: room, content, by: author))]"#
    }
    static func messageFields(
        _ sequence: Int, in room: String, _ content: String = "x", by author: String = "ann"
    ) -> String {
        #"""
        {"id":"\#(sequence)","room_id":"\#(room)","user_id":"\#(author)","username":"\#(author)",\#
        "content":"\#(content)","timestamp":"\#(Self.instant)"}
        """#
    }
    /// The content of a `conversation_state` and of its acknowledgement.
    static func state(
        _ room: String, head: Int, _ messages: String = "", participants: String = "",
        isActive: Bool = true
    ) -> String {
        let last =
            messages.dropFirst().split(separator: "},{").last.map { "{\($0)" } ?? "null"
        return #"""
            "conversation":{"room_id":"\#(room)","title":"Tea","description":"at five",\#
            "created_by":"ann","created_at":"\#(Self.instant)",
            """#
                + #"""
                "updated_at":"\#(Self.instant)","is_active":\#(isActive),\#
                "access":"open","listed":true,"participants":[\#(participants)],\#
                "participant_count":\#(participants.matches(of: /user_id/).count),\#
                "message_count":\#(head),\#
                "last_message":\#(last)},
                """#
                + #""participants":[\#(participants)],"messages":[\#(messages)]"#
    }
    static func stateEvent(_ room: String, head: Int, _ messages: String = "") -> String {
        #"42["conversation_state",{\#(Self.state(room, head: head, messages))}]"#
    }
    static func joinedOrLeft(_ event: String, _ user: String, _ name: String, in room: String)
        -> String
    {
        #"""
        42["\#(event)",{"room_id":"\#(room)","user_id":"\#(user)","username":"\#(name)",\#
        "timestamp":"\#(Self.instant)"}]
        """#
    }

    /// The ids from the answer to CONNECT.
    static func connected(_ steps: [String]) -> (sid: String, pid: String)? {
        guard let first = steps.first, first.hasPrefix("40{"),
            let tree = try? JSONTree(parsing: Array(first.utf8.dropFirst(2)).span.bytes),
            let sid = tree["sid"]?.stringValue, let pid = tree["pid"]?.stringValue
        else { return nil }
        return (sid, pid)
    }
}
