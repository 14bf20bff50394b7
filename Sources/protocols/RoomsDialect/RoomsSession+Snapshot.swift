import Bytes
public import ChatModel
import DialectKit
import Identity
import JSON
import SocketIO

/// The state of a session that moves to the node of its WebSocket, as a JSON object that only nodes
/// read. It follows the rules of `NodePacket`: a new field is a new member with a default value,
/// and a reader skips members that it does not know.
extension RoomsSession {
    public func snapshot(
        at positions: [(conversation: ConversationKey, through: SequenceNumber)], now: Int64
    ) -> String? {
        guard let socket = self.socket?.snapshot(at: now) else { return nil }
        var text = ByteBuffer()
        text.append(#"{"tenant":"#)
        text.append(jsonString: self.tenant)
        self.appendIdentity(to: &text)
        text.append(#","visit":"#)
        text.append(decimal: self.connectCount)
        text.append(self.hasRequestToken ? #","bearer":true"# : #","bearer":false"#)
        text.append(self.isTokenExpired ? #","expired":true"# : #","expired":false"#)
        text.append(#","guest_key":"#)
        text.append(jsonString: self.guestKey)
        if let sid = self.sid {
            text.append(#","sid":"#)
            text.append(jsonString: sid)
        }
        if let refusal = self.refusal {
            text.append(#","refusal":"#)
            text.append(jsonString: refusal)
        }
        let (phase, remaining): (StaticString, Int64) =
            switch socket.phase {
            case .awaitingConnect(let remaining): ("waiting", remaining)
            case .connecting(let remaining): ("connecting", remaining)
            case .connected: ("connected", 0)
            case .disconnectSent(let remaining): ("dismissed", remaining)
            }
        text.append(#","phase":""#)
        text.append(phase)
        text.append(#"","left":"#)
        text.append(decimal: remaining)
        text.append(#","due":"#)
        text.append(decimal: socket.attachmentsDue)
        text.append(#","rooms":["#)
        for (index, position) in positions.enumerated() {
            text.append(index > 0 ? #",{"room":"# : #"{"room":"#)
            text.append(jsonString: position.conversation.id)
            text.append(#","through":"#)
            text.append(decimal: position.through)
            text.append("}")
        }
        text.append("]}")
        return text.text
    }

    private func appendIdentity(to text: inout ByteBuffer) {
        if let me = self.me {
            text.append(#","user":"#)
            text.append(jsonString: me.person.id.storageKey)
            text.append(#","name":"#)
            text.append(jsonString: me.person.name)
            if let agent = me.person.agent {
                text.append(#","agent":"#)
                text.append(jsonString: agent)
            }
            text.append(me.isAdmin ? #","admin":true"# : #","admin":false"#)
        }
        switch self.grants {
        case .all: text.append(#","all":true,"grants":["#)
        case .listed(let conversations):
            text.append(#","all":false,"grants":["#)
            for (index, conversation) in conversations.sorted().enumerated() {
                if index > 0 { text.append(",") }
                text.append(jsonString: conversation)
            }
        }
        text.append("]")
    }

    /// Nil if this version cannot have written the snapshot.
    init?(_ context: RoomsContext, snapshot text: String, allowsAnonymous: Bool, at now: Int64) {
        self.init(context, .none, allowsAnonymous: allowsAnonymous)
        var document = JSONDocument(depthLimit: 4)
        let bytes = Array(text.utf8)
        let span = bytes.span.bytes
        do {
            try document.parse(span)
            let root = document.root
            guard let tenant = try document.optionalString("tenant", of: root, in: span) else {
                return nil
            }
            let user = try document.optionalString("user", of: root, in: span)
            let name = try document.optionalString("name", of: root, in: span)
            let agent = try document.optionalString("agent", of: root, in: span)
            self.restoreIdentity(
                tenant: ByteString(tenant), user: user.map { UserID(storageKey: ByteString($0)) },
                name: name.map { ByteString($0) },
                agent: agent.map { ByteString($0) },
                isAdmin: try document.optionalBool("admin", of: root, in: span) ?? false,
                grants: try document.optionalBool("all", of: root, in: span) == true
                    ? .all
                    : .listed(
                        Set(try Self.strings("grants", document, span).map { ByteString($0) })))
            let limits = 0...Int(Int32.max)
            self.connectCount =
                try document.optionalInteger("visit", within: limits, of: root, in: span) ?? 0
            self.hasRequestToken = try document.optionalBool("bearer", of: root, in: span) ?? false
            self.isTokenExpired = try document.optionalBool("expired", of: root, in: span) ?? false
            self.sid = try document.optionalString("sid", of: root, in: span)
            let key = try document.optionalString("guest_key", of: root, in: span)
            if let key, key.utf8.count == UserID.guestKeyBytes { self.guestKey = ByteString(key) }
            self.refusal = try document.optionalString("refusal", of: root, in: span)
            let remaining = Int64(
                try document.optionalInteger("left", within: limits, of: root, in: span) ?? 0)
            let phase: SocketSnapshot.Phase =
                switch try document.optionalString("phase", of: root, in: span) {
                case "waiting": .awaitingConnect(remaining: remaining)
                case "connecting": .connecting(remaining: remaining)
                case "dismissed": .disconnectSent(remaining: remaining)
                default: .connected
                }
            let due = try document.optionalInteger("due", within: limits, of: root, in: span) ?? 0
            self.socket = SocketSession(
                limits: context.limits, snapshot: SocketSnapshot(phase, attachmentsDue: due),
                at: now)
            guard let rooms = document.nonNullMember("rooms", of: root, in: span) else {
                return nil
            }
            var next = document.firstElement(of: rooms)
            while let room = next {
                let position = RoomOffset.RoomPosition(
                    room: try document.requiredConversationID("room", of: room, in: span),
                    through: try document.optionalInteger(
                        "through", within: 0...Int.max, of: room, in: span) ?? 0)
                self.transferredPositions.append(position)
                next = document.element(after: room, in: rooms)
            }
        } catch {
            return nil
        }
    }

    private static func strings(
        _ name: StaticString, _ document: borrowing JSONDocument, _ bytes: RawSpan
    ) throws -> [String] {
        guard let list = document.nonNullMember(name, of: document.root, in: bytes) else {
            return []
        }
        var strings: [String] = []
        var next = document.firstElement(of: list)
        while let element = next {
            if let string = document.string(element, in: bytes) { strings.append(string) }
            next = document.element(after: element, in: list)
        }
        return strings
    }

    private mutating func restoreIdentity(
        tenant: ByteString, user: UserID?, name: ByteString?, agent: ByteString?, isAdmin: Bool,
        grants: Grants
    ) {
        self.tenant = tenant
        self.grants = grants
        guard let user else { return }
        self.me = Principal(
            person: Person(id: user, name: name ?? user.name, agent: agent), isAdmin: isAdmin)
    }
}
