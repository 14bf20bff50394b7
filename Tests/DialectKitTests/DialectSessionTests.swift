import Bytes
import ChatModel
import DialectKit
import Identity
import JSON
import Testing

/// A session that handles only the events of every protocol.
private struct PlainSession: DialectSession {
    var principal: Principal? { nil }
    let tenant: ByteString = "t"
    var homeConversation: ConversationKey? { nil }

    mutating func opened(into steps: inout SessionSteps) { steps.append(.broadcast("opened")) }
    mutating func received(
        _ text: RawSpan, reading document: inout JSONDocument, at now: Timestamp,
        into steps: inout SessionSteps
    ) { steps.append(.broadcast("received")) }
    mutating func receivedBinary(into steps: inout SessionSteps) {
        steps.append(.broadcast("binary"))
    }
    mutating func answered(
        _ answer: ChatAnswer, to tag: RequestTag, isDelivered: Bool, into steps: inout SessionSteps
    ) { steps.append(.broadcast("answered")) }
    mutating func leftConversation(
        _ conversation: ConversationKey, into steps: inout SessionSteps
    ) { steps.append(.broadcast("left")) }
    mutating func authenticated(
        _ result: Result<Identity, CredentialError>, into steps: inout SessionSteps
    ) { steps.append(.broadcast("authenticated")) }
    mutating func tokenExpired(into steps: inout SessionSteps) {
        steps.append(.broadcast("expired"))
    }
}

/// A session that handles every event, and counts its events in itself.
private struct CapableSession: DialectSession {
    /// Larger than what an existential stores inline, as real sessions are.
    var events: [String] = []
    var padding = (1, 2, 3, 4, 5, 6)

    private mutating func note(_ event: String, _ steps: inout SessionSteps) {
        self.events.append(event)
        steps.append(.broadcast("\(self.events.count) \(event)"))
    }

    var principal: Principal? { nil }
    let tenant: ByteString = "t"
    var homeConversation: ConversationKey? { nil }

    mutating func opened(into steps: inout SessionSteps) { self.note("opened", &steps) }
    mutating func received(
        _ text: RawSpan, reading document: inout JSONDocument, at now: Timestamp,
        into steps: inout SessionSteps
    ) { self.note("received", &steps) }
    mutating func receivedBinary(into steps: inout SessionSteps) { self.note("binary", &steps) }
    mutating func answered(
        _ answer: ChatAnswer, to tag: RequestTag, isDelivered: Bool, into steps: inout SessionSteps
    ) { self.note("answered", &steps) }
    mutating func leftConversation(
        _ conversation: ConversationKey, into steps: inout SessionSteps
    ) { self.note("left", &steps) }
    mutating func authenticated(
        _ result: Result<Identity, CredentialError>, into steps: inout SessionSteps
    ) { self.note("authenticated", &steps) }
    mutating func tokenExpired(into steps: inout SessionSteps) { self.note("expired", &steps) }

    mutating func receivedPage(
        _ page: MessagePage?, for tag: RequestTag, into steps: inout SessionSteps
    ) { self.note("page", &steps) }
    mutating func receivedStoreAnswer(
        _ answer: StoreAnswer?, for tag: RequestTag, into steps: inout SessionSteps
    ) { self.note("store", &steps) }
    mutating func receivedInboxMessage(
        _ message: Message, in inbox: ConversationKey, into steps: inout SessionSteps
    ) { self.note("inbox", &steps) }
    mutating func historyTruncated(
        in conversation: ConversationKey, oldest: SequenceNumber, into steps: inout SessionSteps
    ) { self.note("truncated", &steps) }
    mutating func historyReset(
        in conversation: ConversationKey, head: SequenceNumber, into steps: inout SessionSteps
    ) { self.note("reset", &steps) }
    var wakeAt: Int64? { mutating get { Int64(self.events.count) } }
    mutating func wake(into steps: inout SessionSteps) { self.note("wake", &steps) }
    var tracksDeliveries: Bool { mutating get { self.events.count > 1 } }
    mutating func startedTrackingDeliveries(
        at positions: [(conversation: ConversationKey, through: SequenceNumber)],
        into steps: inout SessionSteps
    ) { self.note("tracking", &steps) }
    mutating func delivered(
        _ message: Message, in conversation: ConversationKey, into steps: inout SessionSteps
    ) { self.note("delivered", &steps) }
    func snapshot(
        at positions: [(conversation: ConversationKey, through: SequenceNumber)], now: Int64
    ) -> String? { self.events.joined(separator: " ") }
}

@Suite("A session of any dialect")
struct DialectSessionTests {
    private static let key = ConversationKey(tenant: "t", id: "c")
    private static let tag = RequestTag(kind: 1)
    private static let message = Message(
        sequence: 1, revision: 1, sentAt: Timestamp(milliseconds: 0),
        body: MessageBody(
            author: Person(id: UserID(tokenSubject: "ann"), name: "Ann"), clientMessageID: nil,
            content: ""))

    private typealias Event = (
        String, @Sendable (inout any DialectSession, inout SessionSteps) -> Void
    )

    private static let commonEvents: [Event] = [
        ("opened", { $0.opened(into: &$1) }),
        (
            "received",
            {
                var document = JSONDocument()
                let text = Array("x".utf8)
                $0.received(
                    text.span.bytes, reading: &document, at: Timestamp(milliseconds: 0), into: &$1)
            }
        ),
        ("binary", { $0.receivedBinary(into: &$1) }),
        ("answered", { $0.answered(.done, to: Self.tag, isDelivered: false, into: &$1) }),
        ("left", { $0.leftConversation(Self.key, into: &$1) }),
        ("authenticated", { $0.authenticated(.failure(CredentialError("x")), into: &$1) }),
        ("expired", { $0.tokenExpired(into: &$1) }),
    ]

    /// The events that a session may ignore.
    private static let optionalEvents: [Event] = [
        ("inbox", { $0.receivedInboxMessage(Self.message, in: Self.key, into: &$1) }),
        ("truncated", { $0.historyTruncated(in: Self.key, oldest: 1, into: &$1) }),
        ("reset", { $0.historyReset(in: Self.key, head: 1, into: &$1) }),
    ]

    /// The events that a session causes itself.
    private static let requestedEvents: [Event] = [
        ("page", { $0.receivedPage(nil, for: Self.tag, into: &$1) }),
        ("store", { $0.receivedStoreAnswer(nil, for: Self.tag, into: &$1) }),
        ("wake", { $0.wake(into: &$1) }),
        ("tracking", { $0.startedTrackingDeliveries(at: [], into: &$1) }),
        ("delivered", { $0.delivered(Self.message, in: Self.key, into: &$1) }),
    ]

    private static func texts(
        of session: inout any DialectSession,
        _ event: (inout any DialectSession, inout SessionSteps) -> Void
    ) -> [String] {
        var steps = SessionSteps(limits: Limits())
        event(&session, &steps)
        return steps.list.map { if case .broadcast(let text) = $0 { text } else { "\($0)" } }
    }

    @Test("receives each event that it handles, and keeps its state")
    func capable() {
        var session: any DialectSession = CapableSession()
        #expect(session.wakeAt == 0 && !session.tracksDeliveries)
        let events = Self.commonEvents + Self.optionalEvents + Self.requestedEvents
        for (index, (name, event)) in events.enumerated() {
            #expect(Self.texts(of: &session, event) == ["\(index + 1) \(name)"])
        }
        #expect(session.wakeAt == Int64(events.count) && session.tracksDeliveries)
        #expect(
            session.snapshot(at: [], now: 0) == events.map(\.0).joined(separator: " "))
    }

    @Test("ignores the events of others that it does not handle")
    func plain() {
        var session: any DialectSession = PlainSession()
        for (name, event) in Self.commonEvents {
            #expect(Self.texts(of: &session, event) == [name])
        }
        for (_, event) in Self.optionalEvents { #expect(Self.texts(of: &session, event) == []) }
        #expect(session.wakeAt == nil && !session.tracksDeliveries)
        #expect(session.snapshot(at: [], now: 0) == nil)
    }

    @Test(
        "stops the process if it does not handle what it has caused itself",
        arguments: 0..<requestedEvents.count)
    func missingEvent(index: Int) async {
        await #expect(processExitsWith: .failure) { [index] in
            var session: any DialectSession = PlainSession()
            _ = Self.texts(of: &session, Self.requestedEvents[index].1)
        }
    }

    @Test("is a value: a copy does not see later events")
    func copies() {
        var session: any DialectSession = CapableSession()
        _ = Self.texts(of: &session) { $0.wake(into: &$1) }
        let copy = session
        _ = Self.texts(of: &session) { $0.wake(into: &$1) }
        #expect(copy.snapshot(at: [], now: 0) == "wake")
        #expect(session.snapshot(at: [], now: 0) == "wake wake")
    }
}
