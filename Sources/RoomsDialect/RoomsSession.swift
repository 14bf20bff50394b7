public import Bytes
public import ChatModel
public import DialectKit
import EngineIO
public import Identity
public import JSON
import SocketIO

/// One connection of the Rooms protocol: a user in the rooms that it has joined.
///
/// What comes in is Socket.IO's packets, without Engine.IO's; what goes out has both.
public struct RoomsSession: DialectSession {
    let setting: RoomsSetting
    var socket: SocketSession?
    /// Who it is: by a token, or as the first `join_room` says. Stays the same for as long as the connection lasts.
    var me: Actor?
    public internal(set) var tenant: ByteString
    var grants: Grants
    /// Why nobody is let in: the request's token is bad.
    private let refusal: String?
    let allowsAnonymous: Bool
    /// The rooms that the connection hears, and of each the newest message that the client was sent, where that is kept: see `isPersonal`.
    var places: [RoomOffset.Place] = []
    /// What the client brought with a CONNECT that is being judged.
    var recovery: SocketRecovery?
    /// A fresh token that is being judged for an `authenticate`, and whom to tell.
    var renewal: Renewal?
    /// Where the connection was in each room when another node had it.
    var arriving: [RoomOffset.Place] = []
    /// Of rooms that are being joined, who is in them.
    var joining: [ByteString: Description] = [:]

    struct Renewal {
        let ackID: Int?
    }

    enum Question: UInt8 { case join, describe, state, recover, leave, send, typing }

    init(_ setting: RoomsSetting, _ credentials: Credentials, allowsAnonymous: Bool) {
        self.setting = setting
        self.allowsAnonymous = allowsAnonymous
        self.tenant = Identity.defaultTenant
        self.grants = .none
        switch credentials {
        case .none:
            self.refusal = nil
        case .refused(let sentence):
            self.refusal = sentence
        case .bearer(let identity):
            self.refusal = nil
            self.become(identity)
        }
    }

    public var actor: Actor? { self.me }
    public var home: ConversationKey? { nil }
    /// Whom no token names, or who is in several rooms, gets offsets of its own.
    public var isPersonal: Bool { self.places.count > 1 || self.isStranger && !self.places.isEmpty }
    var isStranger: Bool { self.me?.person.id.isAnonymous ?? true }
    public var wakeAt: Int64? { self.socket?.deadline }

    func key(_ room: ByteString) -> ConversationKey { ConversationKey(tenant: self.tenant, id: room) }
    func hears(_ room: ByteString) -> Bool { self.places.contains { $0.room == room } }

    mutating func become(_ identity: Identity) {
        self.tenant = identity.tenant
        self.grants = identity.grants
        self.me = Actor(
            person: Person(id: UserID(token: identity.user), name: identity.displayName), isAdmin: identity.isAdmin)
    }

    public mutating func opened(into steps: inout SessionSteps) {
        guard self.socket == nil else { return self.arrive(into: &steps) }
        self.socket = SocketSession(limits: self.setting.limits, openedAt: steps.monotonic)
    }

    public mutating func wake(into steps: inout SessionSteps) {
        let now = steps.monotonic
        self.drive(into: &steps) { $0.tick(at: now, into: &$1) }
    }

    // MARK: What the client sends

    public mutating func received(_ text: RawSpan, reading document: inout JSONDocument, at now: Timestamp, into steps: inout SessionSteps)
    {
        guard var socket = self.socket else { return }
        var packets = SocketSteps()
        socket.received(text, reading: &document, at: steps.monotonic, into: &packets)
        self.socket = socket
        self.run(packets, document, text, into: &steps)
    }

    public mutating func receivedBinary(into steps: inout SessionSteps) {
        self.drive(into: &steps) { $0.receivedBinary(into: &$1) }
    }

    public mutating func receivedTooLong(limit: Int, into steps: inout SessionSteps) {
        steps.reply { $0.append(roomsError: "the message is longer than \(limit) bytes", event: nil) }
    }

    /// What changes the Socket.IO session otherwise than by what it has received.
    mutating func drive(into steps: inout SessionSteps, _ body: (inout SocketSession, inout SocketSteps) -> Void) {
        guard var socket = self.socket else { return }
        var packets = SocketSteps()
        body(&socket, &packets)
        self.socket = socket
        for step in packets.list {
            switch step {
            case .send(let place): self.send(packets, place, into: &steps)
            case .end: self.end(into: &steps)
            case .connect, .event, .acknowledged, .refuse, .disconnected: break
            }
        }
    }

    private mutating func run(
        _ packets: SocketSteps, _ document: borrowing JSONDocument, _ text: RawSpan, into steps: inout SessionSteps
    ) {
        for step in packets.list {
            switch step {
            case .send(let place): self.send(packets, place, into: &steps)
            case .connect(let auth, let recovery):
                self.recovery = recovery
                self.connect(auth, document, text, into: &steps)
            case .event(let event): self.take(event, document, text.extracting(event.payload), into: &steps)
            case .acknowledged: break  // The server asks for none.
            case .refuse(let ackID, let sentence): self.fail(sentence, of: nil, ackID: ackID, into: &steps)
            case .disconnected: self.leaveAll(into: &steps)
            case .end: self.end(into: &steps)
            }
        }
    }

    private func send(_ packets: SocketSteps, _ place: Range<Int>, into steps: inout SessionSteps) {
        steps.reply {
            $0.append(enginePacket: .message)
            $0.append(contentsOf: packets.text.bytes.span.bytes.extracting(place))
        }
    }

    private func end(into steps: inout SessionSteps) {
        steps.append(.close(1002, "the packets break the rules of Socket.IO, or came too late"))
    }

    mutating func leaveAll(into steps: inout SessionSteps) {
        for place in self.places { steps.append(.leave(self.key(place.room))) }
        self.places = []
        self.joining = [:]
    }

    /// In the acknowledgement, where one is wanted; else as an event.
    func fail(_ sentence: String, of event: ByteString?, ackID: Int?, retryAfter: Double? = nil, into steps: inout SessionSteps) {
        if let ackID {
            steps.reply { $0.append(roomsAck: ackID) { $0.append(refusal: sentence, retryAfter: retryAfter) } }
        } else {
            steps.reply { $0.append(roomsError: sentence, event: event, retryAfter: retryAfter) }
        }
    }

    // MARK: Coming in

    /// - Parameter auth: where the object lies that is the document's root.
    private mutating func connect(
        _ auth: Range<Int>?, _ document: borrowing JSONDocument, _ text: RawSpan, into steps: inout SessionSteps
    ) {
        var token: String?
        if let auth {
            do throws(FieldError) {
                token = try document.optionalString("token", of: document.root, in: text.extracting(auth))
            } catch {
                return self.refuse(error.description, into: &steps)
            }
        }
        if let refusal = self.refusal { return self.refuse("token: \(refusal)", into: &steps) }
        if let token {
            steps.append(.authenticate(token))
        } else if self.me.map({ !$0.person.id.isAnonymous }) ?? false || self.allowsAnonymous {
            self.accept(into: &steps)
        } else {
            self.refuse("a token is required", into: &steps)
        }
    }

    private mutating func refuse(_ sentence: String, into steps: inout SessionSteps) {
        self.recovery = nil
        self.drive(into: &steps) { $0.refuse(sentence, into: &$1) }
    }

    public mutating func authenticated(_ result: Result<Identity, CredentialError>, into steps: inout SessionSteps) {
        if let renewal = self.renewal { return self.renewed(result, renewal, into: &steps) }
        switch result {
        case .success(let identity):
            self.become(identity)
            self.accept(into: &steps)
        case .failure(let error):
            self.refuse("token: \(error)", into: &steps)
        }
    }

    private mutating func accept(into steps: inout SessionSteps) {
        let recovery = self.recovery
        self.recovery = nil
        let known = self.me?.person.id
        let named = known.flatMap { $0.isAnonymous ? nil : $0 }
        if let recovery, let pass = RecoveryPass(recovery.pid, self.setting.key), pass.tenant == self.tenant, pass.user == named,
            let offset = recovery.offset.flatMap({ RoomOffset($0) }), known == nil || known == named || known == offset.stranger?.id
        {
            self.drive(into: &steps) { $0.accept(sid: pass.sid, pid: recovery.pid, into: &$1) }
            self.recover(offset, into: &steps)
            return
        }
        let pass = RecoveryPass(sid: Self.mintedID(), tenant: self.tenant, user: named)
        let key = self.setting.key
        self.drive(into: &steps) { $0.accept(sid: pass.sid, pid: pass.text(key), into: &$1) }
        steps.reply { $0.append(offset: RoomOffset(places: [])) }
    }

    /// 120 bits of chance.
    private static func mintedID() -> String {
        Base64URL.encode((0..<15).map { _ in UInt8.random(in: 0...255) })
    }

    /// The rooms in which the client was are entered where it was in each.
    private mutating func recover(_ offset: RoomOffset, into steps: inout SessionSteps) {
        if self.me == nil, let stranger = offset.stranger { self.me = Actor(person: stranger, isAdmin: false) }
        guard self.me != nil, !offset.places.isEmpty else { return steps.reply { $0.append(offset: RoomOffset(places: [])) } }
        self.goOn(at: offset.places, into: &steps)
    }

    /// On this node it goes on where it was on another.
    private mutating func arrive(into steps: inout SessionSteps) {
        let places = self.arriving
        self.arriving = []
        self.goOn(at: places, into: &steps)
    }

    private func goOn(at places: [RoomOffset.Place], into steps: inout SessionSteps) {
        guard let me = self.me else { return }
        for place in places {
            let entrance = Entrance(actor: me, isListed: self.grants.include(place.room), kind: .rooms)
            steps.append(
                .enter(
                    self.key(place.room), entrance, from: .after(place.through),
                    SessionTag(kind: Question.recover.rawValue, number: place.through, conversation: place.room)))
        }
    }

    // MARK: Tokens

    private mutating func renewed(_ result: Result<Identity, CredentialError>, _ renewal: Renewal, into steps: inout SessionSteps) {
        self.renewal = nil
        switch result {
        case .success(let identity):
            self.become(identity)
            if let ackID = renewal.ackID {
                steps.reply { $0.append(roomsAck: ackID) { $0.append(authenticatedAs: identity.user, head: #""ok":true,"#) } }
            } else {
                steps.reply { $0.append(roomsEvent: "authenticated") { $0.append(authenticatedAs: identity.user, head: "") } }
            }
        case .failure(let error):
            self.fail("token: \(error)", of: "authenticate", ackID: renewal.ackID, into: &steps)
        }
    }

    public mutating func expired(into steps: inout SessionSteps) {
        steps.reply { $0.append(roomsError: "token expired", event: nil) }
        let now = steps.monotonic
        self.leaveAll(into: &steps)
        self.drive(into: &steps) { $0.disconnect(at: now, into: &$1) }
    }
}

extension ByteBuffer {
    fileprivate mutating func append(authenticatedAs user: ByteString, head: StaticString) {
        self.append("{")
        self.append(head)
        self.append(#""user_id":"#)
        self.append(jsonString: user)
        self.append("}")
    }
}
