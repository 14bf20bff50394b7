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
    let context: RoomsContext
    var socket: SocketSession?
    /// How often the client was let in: an answer to what it asked before it left is none to what it asks now.
    var connectCount = 0
    /// Who it is: by a token, or as the first `join_room` says. Stays the same for as long as the connection lasts.
    var me: Principal?
    public internal(set) var tenant: ByteString
    var grants: Grants
    /// Why nobody is let in: the request's token is bad.
    var tokenError: String?
    /// The request's token says who it is. One that came with a CONNECT has to come with the next one as well.
    var hasRequestToken: Bool
    var isTokenExpired = false
    let allowsAnonymous: Bool
    /// Where the client is, or is about to be.
    var rooms: [ByteString: Room] = [:]
    var joinCount = 0
    /// What Socket.IO calls the client; nil before it was let in.
    var sid: String?
    /// What the client brought with a CONNECT that is being judged.
    private var pendingRecovery: SocketRecovery?
    /// A fresh token that is being judged for an `authenticate`, and whom to tell.
    var pendingRenewal: TokenRenewal?
    /// Where the connection was in each room when another node had it.
    var transferredPositions: [RoomOffset.RoomPosition] = []

    struct TokenRenewal {
        let ackID: Int?
    }

    enum RoomsRequestKind: UInt8 {
        case join, describe, state, recover, transfer, leave, send, typing
    }

    init(_ setting: RoomsContext, _ credentials: Credentials, allowsAnonymous: Bool) {
        self.context = setting
        self.allowsAnonymous = allowsAnonymous
        self.tenant = Identity.defaultTenant
        self.grants = .none
        switch credentials {
        case .none:
            self.tokenError = nil
            self.hasRequestToken = false
        case .invalid(let sentence):
            self.tokenError = sentence
            self.hasRequestToken = false
        case .bearer(let identity):
            self.tokenError = nil
            self.hasRequestToken = true
            self.adoptIdentity(identity)
        }
    }

    public var principal: Principal? { self.me }
    public var homeConversation: ConversationKey? { nil }
    public var wakeAt: Int64? { self.socket?.deadline }
    var isAnonymous: Bool { self.me?.person.id.isAnonymous ?? true }
    /// Whether a token says who it is; a guest's names a conversation.
    var hasToken: Bool { !self.isAnonymous || self.grants != .none }
    var isConnected: Bool { self.socket?.isConnected ?? false }

    func key(_ room: ByteString) -> ConversationKey {
        ConversationKey(tenant: self.tenant, id: room)
    }

    func joinRequest(for room: ByteString, as me: Principal) -> JoinRequest {
        JoinRequest(principal: me, isListedInToken: self.grants.include(room), kind: .rooms)
    }

    private mutating func adoptIdentity(_ identity: Identity) {
        self.tenant = identity.tenant
        self.grants = identity.grants
        // Who is in already keeps its name.
        let person = self.me?.person ?? Person(of: identity)
        self.me = Principal(person: person, isAdmin: identity.isAdmin)
    }

    public mutating func opened(into steps: inout SessionSteps) {
        guard self.socket == nil else { return self.resumeTransferredRooms(into: &steps) }
        self.socket = SocketSession(
            limits: self.context.limits, openedAt: steps.monotonicMilliseconds)
    }

    public mutating func wake(into steps: inout SessionSteps) {
        let now = steps.monotonicMilliseconds
        self.updateSocket(into: &steps) { $0.tick(at: now, into: &$1) }
    }

    // MARK: What the client sends

    public mutating func received(
        _ text: RawSpan, reading document: inout JSONDocument, at now: Timestamp,
        into steps: inout SessionSteps
    ) {
        guard var socket = self.socket else { return }
        var packets = SocketSteps()
        socket.received(text, reading: &document, at: steps.monotonicMilliseconds, into: &packets)
        self.socket = socket
        for step in packets.list {
            switch step {
            case .connect(let auth, let recovery):
                self.pendingRecovery = recovery
                self.connect(auth, document, text, into: &steps)
            case .event(let event):
                self.execute(event, document, text.extracting(event.payload), into: &steps)
            default: self.run(step, of: packets, into: &steps)
            }
        }
    }

    public mutating func receivedBinary(into steps: inout SessionSteps) {
        self.updateSocket(into: &steps) { $0.receivedBinary(into: &$1) }
    }

    /// What changes the Socket.IO session otherwise than by what it has received.
    private mutating func updateSocket(
        into steps: inout SessionSteps, _ body: (inout SocketSession, inout SocketSteps) -> Void
    ) {
        guard var socket = self.socket else { return }
        var packets = SocketSteps()
        body(&socket, &packets)
        self.socket = socket
        for step in packets.list { self.run(step, of: packets, into: &steps) }
    }

    private mutating func run(
        _ step: SocketStep, of packets: SocketSteps, into steps: inout SessionSteps
    ) {
        switch step {
        case .send(let place):
            steps.reply {
                $0.append(enginePacket: .message)
                $0.append(contentsOf: packets.text.bytes.span.bytes.extracting(place))
            }
        case .refuse(let ackID, let event, let sentence):
            self.fail(sentence, of: event, ackID: ackID, into: &steps)
        case .disconnected:
            self.unsubscribeAll(into: &steps)
            guard let sid = exchange(&self.sid, with: nil) else { return }
            self.context.closedSessions.insert(sid)
            steps.append(.broadcast(sid))
        case .end(.connectTimeout): steps.append(.close(1002, "no CONNECT packet came in time"))
        case .end: steps.append(.close(1002, "a packet breaks the rules of Socket.IO"))
        case .acknowledged: break  // The server asks for none.
        case .connect, .event:
            preconditionFailure("A session of Socket.IO has heard what nobody told it: \(step)")
        }
    }

    private mutating func unsubscribeAll(into steps: inout SessionSteps) {
        for room in self.rooms.keys.sorted() { steps.append(.unsubscribe(self.key(room))) }
        self.rooms = [:]
    }

    /// In the acknowledgement, where one is wanted; else as an event.
    ///
    /// - Parameters:
    ///   - outcome: what became of the message, if the event is a send.
    ///   - localID: of that send, where the client has given one.
    func fail(
        _ sentence: String, of event: ByteString?, ackID: Int?, outcome: SendOutcome = .refused,
        localID: ByteString? = nil,
        retryAfter: Double? = nil, into steps: inout SessionSteps
    ) {
        guard self.isConnected else { return }
        let outcome = event == "send_message" ? outcome : nil
        if let ackID {
            steps.reply {
                $0.append(roomsAck: ackID) {
                    $0.append(
                        refusal: sentence, outcome: outcome, localID: localID,
                        retryAfter: retryAfter)
                }
            }
        } else {
            steps.reply {
                $0.append(
                    roomsError: sentence, event: event, outcome: outcome, localID: localID,
                    retryAfter: retryAfter)
            }
        }
    }

    // MARK: Coming in

    /// - Parameter auth: where the object lies that is the document's root.
    private mutating func connect(
        _ auth: Range<Int>?, _ document: borrowing JSONDocument, _ text: RawSpan,
        into steps: inout SessionSteps
    ) {
        // Going on in several rooms is work.
        if let refusal = steps.refusal { return self.refuse(refusal.reason, into: &steps) }
        var token: String?
        if let auth {
            do throws(FieldError) {
                token = try document.optionalString(
                    "token", of: document.root, in: text.extracting(auth))
            } catch {
                return self.refuse(error.description, into: &steps)
            }
        }
        if let refusal = self.tokenError { return self.refuse("token: \(refusal)", into: &steps) }
        if let token {
            steps.append(.authenticate(token))
        } else if self.hasToken {
            guard self.hasRequestToken else {
                return self.refuse("a token is required", into: &steps)
            }
            guard !self.isTokenExpired else {
                return self.refuse("token: token expired", into: &steps)
            }
            self.accept(into: &steps)
        } else if self.allowsAnonymous {
            self.accept(into: &steps)
        } else {
            self.refuse("a token is required", into: &steps)
        }
    }

    private mutating func refuse(_ sentence: String, into steps: inout SessionSteps) {
        self.pendingRecovery = nil
        self.updateSocket(into: &steps) { $0.refuse(sentence, into: &$1) }
    }

    public mutating func authenticated(
        _ result: Result<Identity, CredentialError>, into steps: inout SessionSteps
    ) {
        if let renewal = self.pendingRenewal {
            return self.renewalCompleted(result, renewal, into: &steps)
        }
        switch result {
        case .success(let identity):
            if let me = self.me,
                me.person.id != UserID(of: identity) || self.tenant != identity.tenant
            {
                return self.refuse("token: belongs to another user", into: &steps)
            }
            self.adoptIdentity(identity)
            self.isTokenExpired = false
            self.accept(into: &steps)
        case .failure(let error):
            self.refuse("token: \(error)", into: &steps)
        }
    }

    private mutating func accept(into steps: inout SessionSteps) {
        // While its token was judged it may have gone.
        guard let socket = self.socket, case .connecting = socket.snapshot(at: 0)?.phase else {
            return
        }
        let recovery = exchange(&self.pendingRecovery, with: nil)
        self.connectCount += 1
        if let recovery, let (pass, offset) = self.validated(recovery) {
            self.sid = pass.sid
            self.updateSocket(into: &steps) {
                $0.accept(sid: pass.sid, pid: recovery.pid, into: &$1)
            }
            self.recover(offset, into: &steps)
        } else {
            let pass = RecoveryToken(
                sid: Self.randomSID(), tenant: self.tenant,
                user: self.isAnonymous ? nil : self.me?.person.id)
            let pid = pass.text(self.context.key)
            self.sid = pass.sid
            self.updateSocket(into: &steps) { $0.accept(sid: pass.sid, pid: pid, into: &$1) }
            self.sendOffset(into: &steps)
        }
    }

    /// 120 bits of chance.
    private static func randomSID() -> String {
        Base64URL.encode((0..<15).map { _ in UInt8.random(in: 0...255) })
    }

    // MARK: Going on

    /// What the client brings, if one of ours gave it to this user.
    private func validated(_ recovery: SocketRecovery) -> (RecoveryToken, RoomOffset)? {
        let user = self.isAnonymous ? nil : self.me?.person.id
        guard let pass = RecoveryToken(recovery.pid, self.context.key), pass.tenant == self.tenant,
            pass.user == user,
            !self.context.closedSessions.contains(pass.sid),
            let offset = recovery.offset.flatMap({ RoomOffset($0) })
        else { return nil }
        // Who was in no room has nothing to go on with. An offset from before a room was joined would leave it out.
        guard !offset.positions.isEmpty,
            self.context.sessionRooms.matches(offset.positions.map(\.room), of: pass.sid)
        else { return nil }
        if user != nil {
            guard offset.anonymousUser == nil else { return nil }
        } else if let stranger = offset.anonymousUser {
            guard self.me == nil || self.me?.person.id == stranger.id else { return nil }
        } else {
            return nil
        }
        return (pass, offset)
    }

    /// The rooms in which the client was are entered where it was in each. All of them stand in its offset from the beginning: should the
    /// connection break again before the last one is entered, none is forgotten.
    private mutating func recover(_ offset: RoomOffset, into steps: inout SessionSteps) {
        if self.me == nil, let stranger = offset.anonymousUser {
            self.me = Principal(person: stranger, isAdmin: false)
        }
        for place in offset.positions {
            self.rooms[place.room] = Room(deliveredThrough: place.through)
        }
        self.sendOffset(into: &steps)
        self.enter(offset.positions, .recover, into: &steps)
    }

    /// On this node it goes on where it was on another.
    private mutating func resumeTransferredRooms(into steps: inout SessionSteps) {
        let places = exchange(&self.transferredPositions, with: [])
        for place in places { self.rooms[place.room] = Room(deliveredThrough: place.through) }
        self.enter(places, .transfer, into: &steps)
    }

    private func enter(
        _ places: [RoomOffset.RoomPosition], _ question: RoomsRequestKind,
        into steps: inout SessionSteps
    ) {
        guard let me = self.me else { return }
        for place in places {
            steps.append(
                .enter(
                    self.key(place.room), self.joinRequest(for: place.room, as: me),
                    from: .after(place.through),
                    RequestTag(
                        kind: question.rawValue, number: self.connectCount, conversation: place.room
                    )))
        }
    }

    // MARK: Tokens

    private mutating func renewalCompleted(
        _ result: Result<Identity, CredentialError>, _ renewal: TokenRenewal,
        into steps: inout SessionSteps
    ) {
        self.pendingRenewal = nil
        switch result {
        case .success(let identity):
            self.adoptIdentity(identity)
            self.isTokenExpired = false
            guard self.isConnected else { return }
            if let ackID = renewal.ackID {
                steps.reply {
                    $0.append(roomsAck: ackID) {
                        $0.append(authenticatedAs: UserID(of: identity), isAck: true)
                    }
                }
            } else {
                steps.reply {
                    $0.append(roomsEvent: "authenticated") {
                        $0.append(authenticatedAs: UserID(of: identity), isAck: false)
                    }
                }
            }
        case .failure(let error):
            self.fail("token: \(error)", of: "authenticate", ackID: renewal.ackID, into: &steps)
        }
    }

    /// Whoever is not in is told when it wants to come in.
    public mutating func tokenExpired(into steps: inout SessionSteps) {
        self.isTokenExpired = true
        guard self.isConnected else { return }
        self.fail("token expired", of: nil, ackID: nil, into: &steps)
        let now = steps.monotonicMilliseconds
        self.unsubscribeAll(into: &steps)
        self.updateSocket(into: &steps) { $0.disconnect(at: now, into: &$1) }
    }
}
