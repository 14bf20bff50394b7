public import Bytes
public import ChatModel
public import DialectKit
import EngineIO
public import Identity
public import JSON
import SocketIO

/// One connection of the Rooms protocol: a user in the rooms that it has joined.
///
/// It receives packets of Socket.IO without those of Engine.IO, and sends both. A client that is
/// not connected receives only packets of Socket.IO itself. Answers to its earlier requests are
/// dropped.
public struct RoomsSession: DialectSession {
    let context: RoomsContext
    var socket: SocketSession?
    /// How often the client has connected to the namespace. An answer to a request of an earlier
    /// connect is dropped.
    var connectCount = 0
    /// The user, from a token or from the first `join_room`. It stays the same as long as the
    /// connection lasts.
    var me: Principal?
    public internal(set) var tenant: ByteString
    var grants: Grants
    /// Why every CONNECT is rejected: the token of the request is invalid, or the user is banned.
    var refusal: String?
    /// Whether the token of the HTTP request names the user. A token in a CONNECT must be sent
    /// again with the next CONNECT.
    var hasRequestToken: Bool
    var isTokenExpired = false
    let allowsAnonymous: Bool
    /// Distinguishes the guest of this connection, and of those that resume it, from other guests
    /// of its name.
    var guestKey: ByteString
    /// The rooms that the client has entered or is entering.
    var rooms: [ByteString: Room] = [:]
    var joinCount = 0
    /// The client's Socket.IO id; nil before the first connect.
    var sid: String?
    /// The recovery data of the CONNECT that is being checked.
    private var pendingRecovery: SocketRecovery?
    /// A pending `authenticate` whose new token is being verified.
    var pendingRenewal: TokenRenewal?
    /// The last delivered message of each room, from the node that had the connection before.
    var transferredPositions: [RoomOffset.RoomPosition] = []

    struct TokenRenewal {
        let ackID: Int?
    }

    enum RoomsRequestKind: UInt8 {
        case join, describe, state, recover, transfer, leave, send, typing, react, pin, unpin, pins,
            search, fetch, fetchAfter, receipts
    }

    init(_ context: RoomsContext, _ credentials: Credentials, allowsAnonymous: Bool) {
        self.context = context
        self.allowsAnonymous = allowsAnonymous
        self.guestKey = context.makeGuestKey()
        self.tenant = Identity.defaultTenant
        self.grants = .none
        switch credentials {
        case .none:
            self.refusal = nil
            self.hasRequestToken = false
        case .invalid(let sentence):
            self.refusal = "token: \(sentence)"
            self.hasRequestToken = false
        case .bearer(let identity):
            self.refusal = nil
            self.hasRequestToken = true
            self.adoptIdentity(identity)
        }
    }

    public var principal: Principal? { self.me }
    /// A client without a token has sent CONNECT.
    public var isIdentified: Bool { self.me != nil || self.sid != nil }
    public var wakeAt: Int64? { self.socket?.deadline }
    var isAnonymous: Bool { self.me?.person.id.isAnonymous ?? true }
    /// Whether a token names the user. The token of a guest lists a conversation.
    var hasToken: Bool { !self.isAnonymous || self.grants != .none }
    var isConnected: Bool { self.socket?.isConnected ?? false }

    /// The guest of this connection.
    func guest(_ name: ByteString) -> UserID {
        UserID(guest: name, key: self.guestKey, provenBy: .connection)
    }

    func key(_ room: ByteString) -> ConversationKey {
        ConversationKey(tenant: self.tenant, id: room)
    }

    func joinRequest(for room: ByteString, as me: Principal) -> JoinRequest {
        JoinRequest(
            principal: me, isListedInToken: self.grants.include(room), template: .rooms)
    }

    private mutating func adoptIdentity(_ identity: Identity) {
        self.tenant = identity.tenant
        self.grants = identity.grants
        // A user that is already known keeps its name.
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

    // MARK: Requests of the client

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

    /// Applies a change to the Socket.IO session that is not a received text packet.
    mutating func updateSocket(
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
        case .send(let range):
            steps.reply {
                $0.append(enginePacket: .message)
                $0.append(contentsOf: packets.text.bytes.span.bytes.extracting(range))
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
        case .acknowledged: break  // The server never requests one.
        case .connect, .event:
            preconditionFailure("A Socket.IO step without a received packet: \(step)")
        }
    }

    mutating func unsubscribeAll(into steps: inout SessionSteps) {
        for room in self.rooms.keys.sorted() { steps.append(.unsubscribe(self.key(room))) }
        self.rooms = [:]
    }

    /// Sends an error in the acknowledgement, if the client wants one, otherwise as an event.
    ///
    /// - Parameters:
    ///   - outcome: whether the message of a failed send may have been stored.
    ///   - localID: the client's id of that send, if it gave one.
    func fail(
        _ sentence: String, of event: ByteString?, ackID: Int?, outcome: SendOutcome? = nil,
        localID: ByteString? = nil,
        retryAfter: Double? = nil, into steps: inout SessionSteps
    ) {
        guard self.isConnected else { return }
        let outcome = outcome ?? (event == "send_message" ? .refused : nil)
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

    // MARK: Connecting

    /// - Parameter auth: the range of the object that is the document's root.
    private mutating func connect(
        _ auth: Range<Int>?, _ document: borrowing JSONDocument, _ text: RawSpan,
        into steps: inout SessionSteps
    ) {
        // The rate limit applies too, because resuming in several rooms is expensive.
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
        if let refusal = self.refusal { return self.refuse(refusal, into: &steps) }
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

    mutating func refuse(_ sentence: String, into steps: inout SessionSteps) {
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
        // The client may have left while its token was verified.
        guard let socket = self.socket, case .connecting = socket.snapshot(at: 0)?.phase else {
            return
        }
        let recovery = exchange(&self.pendingRecovery, with: nil)
        self.connectCount += 1
        if let recovery, let (token, offset) = self.validated(recovery) {
            self.sid = token.sid
            if !self.hasToken, let key = token.user?.guestKey { self.guestKey = key }
            self.updateSocket(into: &steps) {
                $0.accept(sid: token.sid, pid: recovery.pid, into: &$1)
            }
            self.recover(offset, into: &steps)
        } else {
            let token = RecoveryToken(
                sid: Self.randomSID(), tenant: self.tenant, user: self.recoverableUser)
            let pid = token.text(self.context.key)
            self.sid = token.sid
            self.updateSocket(into: &steps) { $0.accept(sid: token.sid, pid: pid, into: &$1) }
            self.sendOffset(into: &steps)
        }
    }

    /// 120 random bits.
    private static func randomSID() -> String {
        Base64URL.encode((0..<15).map { _ in UInt8.random(in: 0...255) })
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
}
