public import Bytes
public import ChatModel
public import DialectKit
import EngineIO
public import Identity
public import JSON
import SocketIO

/// One connection of the Rooms protocol: a user in the rooms that it has joined.
///
/// What comes in is Socket.IO's packets, without Engine.IO's; what goes out has both. Nothing but Socket.IO's own packets goes to a client
/// that is not in: what was asked for before it left is answered to nobody.
public struct RoomsSession: DialectSession {
    let setting: RoomsSetting
    var socket: SocketSession?
    /// How often the client was let in: an answer to what it asked before it left is none to what it asks now.
    var visit = 0
    /// Who it is: by a token, or as the first `join_room` says. Stays the same for as long as the connection lasts.
    var me: Actor?
    public internal(set) var tenant: ByteString
    var grants: Grants
    /// Why nobody is let in: the request's token is bad.
    var refusal: String?
    /// The request's token says who it is. One that came with a CONNECT has to come with the next one as well.
    var isBearer: Bool
    var isExpired = false
    let allowsAnonymous: Bool
    /// Where the client is, or is about to be.
    var rooms: [ByteString: Room] = [:]
    var joinCount = 0
    /// What Socket.IO calls the client; nil before it was let in.
    var sid: String?
    /// What the client brought with a CONNECT that is being judged.
    private var recovery: SocketRecovery?
    /// A fresh token that is being judged for an `authenticate`, and whom to tell.
    var renewal: Renewal?
    /// Where the connection was in each room when another node had it.
    var arriving: [RoomOffset.Place] = []

    struct Renewal {
        let ackID: Int?
    }

    enum Question: UInt8 { case join, describe, state, recover, arrive, leave, send, typing }

    init(_ setting: RoomsSetting, _ credentials: Credentials, allowsAnonymous: Bool) {
        self.setting = setting
        self.allowsAnonymous = allowsAnonymous
        self.tenant = Identity.defaultTenant
        self.grants = .none
        switch credentials {
        case .none:
            self.refusal = nil
            self.isBearer = false
        case .refused(let sentence):
            self.refusal = sentence
            self.isBearer = false
        case .bearer(let identity):
            self.refusal = nil
            self.isBearer = true
            self.become(identity)
        }
    }

    public var actor: Actor? { self.me }
    public var home: ConversationKey? { nil }
    public var wakeAt: Int64? { self.socket?.deadline }
    var isStranger: Bool { self.me?.person.id.isAnonymous ?? true }
    /// Whether a token says who it is; a guest's names a conversation.
    var hasToken: Bool { !self.isStranger || self.grants != .none }
    var isConnected: Bool { self.socket?.isConnected ?? false }

    func key(_ room: ByteString) -> ConversationKey { ConversationKey(tenant: self.tenant, id: room) }

    func entrance(to room: ByteString, as me: Actor) -> Entrance {
        Entrance(actor: me, isListed: self.grants.include(room), kind: .rooms)
    }

    private mutating func become(_ identity: Identity) {
        self.tenant = identity.tenant
        self.grants = identity.grants
        // Who is in already keeps its name.
        let person = self.me?.person ?? Person(of: identity)
        self.me = Actor(person: person, isAdmin: identity.isAdmin)
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
        for step in packets.list {
            switch step {
            case .connect(let auth, let recovery):
                self.recovery = recovery
                self.connect(auth, document, text, into: &steps)
            case .event(let event): self.take(event, document, text.extracting(event.payload), into: &steps)
            default: self.run(step, of: packets, into: &steps)
            }
        }
    }

    public mutating func receivedBinary(into steps: inout SessionSteps) {
        self.drive(into: &steps) { $0.receivedBinary(into: &$1) }
    }

    /// What changes the Socket.IO session otherwise than by what it has received.
    private mutating func drive(into steps: inout SessionSteps, _ body: (inout SocketSession, inout SocketSteps) -> Void) {
        guard var socket = self.socket else { return }
        var packets = SocketSteps()
        body(&socket, &packets)
        self.socket = socket
        for step in packets.list { self.run(step, of: packets, into: &steps) }
    }

    private mutating func run(_ step: SocketStep, of packets: SocketSteps, into steps: inout SessionSteps) {
        switch step {
        case .send(let place):
            steps.reply {
                $0.append(enginePacket: .message)
                $0.append(contentsOf: packets.text.bytes.span.bytes.extracting(place))
            }
        case .refuse(let ackID, let event, let sentence): self.fail(sentence, of: event, ackID: ackID, into: &steps)
        case .disconnected:
            self.leaveAll(into: &steps)
            guard let sid = exchange(&self.sid, with: nil) else { return }
            self.setting.farewells.note(sid)
            steps.append(.announce(sid))
        case .end(.connectTimeout): steps.append(.close(1002, "no CONNECT packet came in time"))
        case .end: steps.append(.close(1002, "a packet breaks the rules of Socket.IO"))
        case .acknowledged: break  // The server asks for none.
        case .connect, .event: preconditionFailure("A session of Socket.IO has heard what nobody told it: \(step)")
        }
    }

    private mutating func leaveAll(into steps: inout SessionSteps) {
        for room in self.rooms.keys.sorted() { steps.append(.leave(self.key(room))) }
        self.rooms = [:]
    }

    /// In the acknowledgement, where one is wanted; else as an event.
    ///
    /// - Parameters:
    ///   - outcome: what became of the message, if the event is a send.
    ///   - localID: of that send, where the client has given one.
    func fail(
        _ sentence: String, of event: ByteString?, ackID: Int?, outcome: SendOutcome = .refused, localID: ByteString? = nil,
        retryAfter: Double? = nil, into steps: inout SessionSteps
    ) {
        guard self.isConnected else { return }
        let outcome = event == "send_message" ? outcome : nil
        if let ackID {
            steps.reply {
                $0.append(roomsAck: ackID) {
                    $0.append(refusal: sentence, outcome: outcome, localID: localID, retryAfter: retryAfter)
                }
            }
        } else {
            steps.reply {
                $0.append(roomsError: sentence, event: event, outcome: outcome, localID: localID, retryAfter: retryAfter)
            }
        }
    }

    // MARK: Coming in

    /// - Parameter auth: where the object lies that is the document's root.
    private mutating func connect(
        _ auth: Range<Int>?, _ document: borrowing JSONDocument, _ text: RawSpan, into steps: inout SessionSteps
    ) {
        // Going on in several rooms is work.
        if let refusal = steps.refusal { return self.refuse(refusal.sentence, into: &steps) }
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
        } else if self.hasToken {
            guard self.isBearer else { return self.refuse("a token is required", into: &steps) }
            guard !self.isExpired else { return self.refuse("token: token expired", into: &steps) }
            self.accept(into: &steps)
        } else if self.allowsAnonymous {
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
            if let me = self.me, me.person.id != UserID(of: identity) || self.tenant != identity.tenant {
                return self.refuse("token: belongs to another user", into: &steps)
            }
            self.become(identity)
            self.isExpired = false
            self.accept(into: &steps)
        case .failure(let error):
            self.refuse("token: \(error)", into: &steps)
        }
    }

    private mutating func accept(into steps: inout SessionSteps) {
        // While its token was judged it may have gone.
        guard let socket = self.socket, case .connecting = socket.standing(at: 0)?.phase else { return }
        let recovery = exchange(&self.recovery, with: nil)
        self.visit += 1
        if let recovery, let (pass, offset) = self.judged(recovery) {
            self.sid = pass.sid
            self.drive(into: &steps) { $0.accept(sid: pass.sid, pid: recovery.pid, into: &$1) }
            self.recover(offset, into: &steps)
        } else {
            let pass = RecoveryPass(sid: Self.mintedID(), tenant: self.tenant, user: self.isStranger ? nil : self.me?.person.id)
            let pid = pass.text(self.setting.key)
            self.sid = pass.sid
            self.drive(into: &steps) { $0.accept(sid: pass.sid, pid: pid, into: &$1) }
            self.tellOffset(into: &steps)
        }
    }

    /// 120 bits of chance.
    private static func mintedID() -> String {
        Base64URL.encode((0..<15).map { _ in UInt8.random(in: 0...255) })
    }

    // MARK: Going on

    /// What the client brings, if one of ours gave it to this user.
    private func judged(_ recovery: SocketRecovery) -> (RecoveryPass, RoomOffset)? {
        let user = self.isStranger ? nil : self.me?.person.id
        guard let pass = RecoveryPass(recovery.pid, self.setting.key), pass.tenant == self.tenant, pass.user == user,
            !self.setting.farewells.include(pass.sid),
            let offset = recovery.offset.flatMap({ RoomOffset($0) })
        else { return nil }
        // Who was in no room has nothing to go on with. An offset from before a room was joined would leave it out.
        guard !offset.places.isEmpty, self.setting.sessionRooms.agree(offset.places.map(\.room), of: pass.sid) else { return nil }
        if user != nil {
            guard offset.stranger == nil else { return nil }
        } else if let stranger = offset.stranger {
            guard self.me == nil || self.me?.person.id == stranger.id else { return nil }
        } else {
            return nil
        }
        return (pass, offset)
    }

    /// The rooms in which the client was are entered where it was in each. All of them stand in its offset from the beginning: should the
    /// connection break again before the last one is entered, none is forgotten.
    private mutating func recover(_ offset: RoomOffset, into steps: inout SessionSteps) {
        if self.me == nil, let stranger = offset.stranger { self.me = Actor(person: stranger, isAdmin: false) }
        for place in offset.places { self.rooms[place.room] = Room(through: place.through) }
        self.tellOffset(into: &steps)
        self.enter(offset.places, .recover, into: &steps)
    }

    /// On this node it goes on where it was on another.
    private mutating func arrive(into steps: inout SessionSteps) {
        let places = exchange(&self.arriving, with: [])
        for place in places { self.rooms[place.room] = Room(through: place.through) }
        self.enter(places, .arrive, into: &steps)
    }

    private func enter(_ places: [RoomOffset.Place], _ question: Question, into steps: inout SessionSteps) {
        guard let me = self.me else { return }
        for place in places {
            steps.append(
                .enter(
                    self.key(place.room), self.entrance(to: place.room, as: me), from: .after(place.through),
                    SessionTag(kind: question.rawValue, number: self.visit, conversation: place.room)))
        }
    }

    // MARK: Tokens

    private mutating func renewed(_ result: Result<Identity, CredentialError>, _ renewal: Renewal, into steps: inout SessionSteps) {
        self.renewal = nil
        switch result {
        case .success(let identity):
            self.become(identity)
            self.isExpired = false
            guard self.isConnected else { return }
            if let ackID = renewal.ackID {
                steps.reply { $0.append(roomsAck: ackID) { $0.append(authenticatedAs: UserID(of: identity), isAck: true) } }
            } else {
                steps.reply { $0.append(roomsEvent: "authenticated") { $0.append(authenticatedAs: UserID(of: identity), isAck: false) } }
            }
        case .failure(let error):
            self.fail("token: \(error)", of: "authenticate", ackID: renewal.ackID, into: &steps)
        }
    }

    /// Whoever is not in is told when it wants to come in.
    public mutating func expired(into steps: inout SessionSteps) {
        self.isExpired = true
        guard self.isConnected else { return }
        self.fail("token expired", of: nil, ackID: nil, into: &steps)
        let now = steps.monotonic
        self.leaveAll(into: &steps)
        self.drive(into: &steps) { $0.disconnect(at: now, into: &$1) }
    }
}
