import Bytes
import ChatCore
import ChatEngine
import ChatModel

@testable import ClusterWire

// One value of everything, with short and long texts, beyond ASCII, empty and missing.

extension ClusterKey {
    static let sample = ClusterKey(secret: Array("a cluster key of thirty-two bytes".utf8))!
    static let other = ClusterKey(secret: Array("another key of at least 32 bytes!".utf8))!
}

extension LoopID {
    static let near = LoopID(incarnation: 0x0123_4567_89AB_CDEF, loop: 1)
    static let far = LoopID(incarnation: .max, loop: 300)
}

extension ConversationKey {
    static let lobby = ConversationKey(tenant: "default", id: "lobby")
    static let long = ConversationKey(
        tenant: "a tenant with a long name", id: "7f3b2c9e-5a1d-4e8f-9b60-2d4c8e1f7a35")
}

extension UserID {
    static let alice = UserID(tokenSubject: "alice")
    static let anonymous = UserID(anonymous: "Bob")
}

extension Person {
    static let alice = Person(id: .alice, name: "Alice")
    static let agent = Person(
        id: UserID(tokenSubject: "c0ffee00-0000-4000-8000-000000000001"), name: "Ægir Ølgård 🚀",
        agent: "helper")
    static let anonymous = Person(id: .anonymous, name: "Bob")
}

extension Timestamp {
    static let sample = Timestamp(milliseconds: 1_700_000_000_123)
    static let long = Timestamp(milliseconds: -1)
}

extension MessageBody {
    static let plain = MessageBody(
        author: .alice, clientMessageID: ClientMessageID(given: "t1"), content: "Hello!")
    static let rich = MessageBody(
        author: .agent, clientMessageID: ClientMessageID(mintedFrom: 77, count: 5),
        content: String(repeating: "grüße 🌍 ", count: 40),
        metadata: Array(#"{"mood":"good"}"#.utf8))
    static let bare = MessageBody(
        author: .anonymous, clientMessageID: nil, content: "", metadata: [])
}

extension MessageAnnotations {
    static let full = MessageAnnotations(
        reply: Reply(to: 1 << 40, thread: 7),
        mentions: Mentions(
            includesEveryone: true, users: [.alice, .anonymous], nonMembers: [.anonymous],
            isByAdmin: true),
        reactions: Reactions([
            Reactions.UserGroup(Emoji(stored: "❤"), users: [.alice, .anonymous]),
            Reactions.UserGroup(Emoji(stored: ":tada:"), users: [.alice]),
        ]), pin: PinState(isPinned: true, by: .agent, at: .long))
    /// A request: the owner finds the thread.
    static let reply = MessageAnnotations(reply: Reply(to: -5), mentions: nil)
    /// All reactions were removed, and the pin has ended.
    static let past = MessageAnnotations(
        reply: nil, mentions: nil, reactions: Reactions(),
        pin: PinState(isPinned: false, by: .alice, at: .sample))
}

extension Message {
    static let annotated = Message(
        sequence: 9, revision: 12, sentAt: .sample, acceptedAt: 5, state: .edited,
        body: MessageBody.rich.with(.full))
    static let formerlyPinned = Message(
        sequence: 10, revision: 13, sentAt: .sample, body: MessageBody.bare.with(.past))
    static let plain = Message(sequence: 1, revision: 2, sentAt: .sample, body: .plain)
    static let edited = Message(
        sequence: 1 << 40, revision: 1 << 41, sentAt: .sample, acceptedAt: 1_767_225_600_000_001,
        state: .edited, body: .rich)
    static let deleted = Message(
        sequence: 3, revision: 9, sentAt: .long, state: .deleted, body: .bare)
}

extension Member {
    static let alice = Member(
        user: .alice, name: "Alice", role: .creator, joinedAt: .sample, readCursor: 200,
        deliveredCursor: 300)
    static let bob = Member(user: .anonymous, name: "Bob", role: .member, joinedAt: .long)
    static let carol = Member(
        user: UserID(tokenSubject: "carol"), name: "Carol", agent: "an agent", role: .admin,
        joinedAt: .sample)
}

extension ConversationTemplate {
    static let closed = ConversationTemplate(origin: "conversations")
    static let open = ConversationTemplate(origin: "conversations", joinPolicy: .open)
    static let pets = ConversationTemplate(origin: "pets")
    static let chats = ConversationTemplate(origin: "chats", joinPolicy: .open)
    static let listed = ConversationTemplate(origin: "rooms", joinPolicy: .open, isListed: true)
}

enum Samples {
    static let changes = [
        PresenceChange(person: .alice, isOnline: true, at: .sample),
        PresenceChange(person: .agent, isOnline: false, at: .long),
        PresenceChange(person: .anonymous, isOnline: false, at: .sample, isMember: false),
    ]

    static let record: ConversationRecord = {
        var record = ConversationRecord(
            .open, title: "Über uns", creator: .alice, createdAt: .sample)
        record.endedAt = .long
        return record
    }()

    static let errors: [ChatError] = [
        .noSuchConversation, .notAMember, .accessDenied, .conversationEnded, .noSuchMessage(-5),
        .messageDeleted(.max),
        .notAllowed("admins"),
        .contentEmpty, .contentTooLong(limit: 16_384), .metadataTooLong(limit: 0),
        .clientMessageIDInvalid, .tooManyMembers(limit: 1_000_000),
        .rateLimited(retryAfterSeconds: 0.25), .unavailable, .conversationExists, .noSuchMember,
        .noSuchReplyTarget(-5), .tooManyEmoji(limit: 30), .tooManyReactions(limit: 20),
        .mentionOfAllNotAllowed(limit: 1_000_000), .tooManyPins(limit: 100), .notPinned(.max),
        .wasRemoved, .closedIsUnlisted, .noDescription,
    ]

    static let answers: [ChatAnswer] =
        [
            .joined(
                JoinResult(
                    head: 12, oldest: 3, revision: 400,
                    ended: ConversationEnd(by: .alice, at: .sample), present: Self.changes,
                    presentCount: 3,
                    isCrowd: false)),
            .joined(
                JoinResult(
                    head: 0, oldest: 1, revision: 0, ended: nil, present: [], presentCount: 5000,
                    isCrowd: true)),
            .joined(
                {
                    var entered = JoinResult(
                        head: 3, oldest: 1, revision: 9, ended: nil, present: [], presentCount: 1,
                        isCrowd: false)
                    (entered.member, entered.isNewMember) = (.bob, true)
                    return entered
                }()),
            .posted(.plain), .posted(.deleted, isRepeat: true), .amended(.edited),
            .read(unknown: []),
            .read(unknown: [0, -1, .min, .max, 128]), .done,
            .described(
                ConversationDetails(
                    record: Self.record, head: 12, members: [.alice, .bob, .carol],
                    online: [.alice, .anonymous], lastMessage: .edited)),
            .described(
                ConversationDetails(
                    record: ConversationRecord(
                        .closed, creator: nil, createdAt: .sample), head: 0,
                    members: [.bob],
                    online: [
                        UserID(tokenSubject: "nobody"), UserID(tokenSubject: "a guest"), .anonymous,
                    ])),
            .pins([]), .pins([.annotated, .plain]), .posted(.annotated), .amended(.formerlyPinned),
            .receipts(
                ReceiptList(
                    own: ReceiptList.Receipt(.alice),
                    highest: [.bob, .carol].map { ReceiptList.Receipt($0) }, total: 300)),
        ] + Self.errors.map { .failed($0) }

    static let commands: [ChatCommand] = [
        .joinAndSubscribe(
            JoinRequest(
                principal: Principal(person: .alice, isAdmin: true), isListedInToken: false,
                template: .listed)),
        .joinAndSubscribe(
            JoinRequest(
                principal: Principal(person: .agent, isAdmin: false), isListedInToken: true,
                template: .chats, marksHistoryRead: true)),
        .readThrough(7, by: .init(tokenSubject: "alice")),
        .post(.plain), .post(.rich), .post(.bare),
        .edit(7, content: "other words", by: Principal(person: .anonymous, isAdmin: false)),
        .edit(.min, content: "", by: Principal(person: .alice, isAdmin: true)),
        .delete(.max, by: Principal(person: .agent, isAdmin: false)),
        .read([1, 2, 300], by: .alice), .read([], by: .anonymous),
        .typing(true, by: .alice), .typing(false, by: .agent),
        .join(
            JoinRequest(
                principal: Principal(person: .agent, isAdmin: false), isListedInToken: true,
                template: .closed)),
        .leave(.anonymous),
        .addMember(.agent, by: Principal(person: .alice, isAdmin: true)),
        .addMember(.anonymous, by: Principal(person: .alice, isAdmin: false)),
        .removeMember(.anonymous, by: Principal(person: .agent, isAdmin: false)),
        .end(by: Principal(person: .alice, isAdmin: false)),
        .describe(by: Principal(person: .alice, isAdmin: true)),
        .describe(by: Principal(person: .anonymous, isAdmin: false), readAccess: .anyoneIfOpen),
        .describe(
            by: Principal(person: .alice, isAdmin: false),
            members: .page(after: .anonymous, limit: 51)),
        .describe(
            by: Principal(person: .alice, isAdmin: false), members: .shownWithReaders(limit: 50)),
        .create(
            NewConversation(
                .chats, creator: Principal(person: .alice, isAdmin: false), members: [])),
        .create(
            NewConversation(
                .pets, title: "Über uns", dialectData: #"{"pet":"rex"}"#,
                creator: Principal(person: .agent, isAdmin: true),
                members: [.agent, .anonymous])),
        .react(
            1 << 40, Emoji(stored: "❤"), isOn: true, by: Principal(person: .alice, isAdmin: false)),
        .react(-1, Emoji(stored: ""), isOn: false, by: Principal(person: .agent, isAdmin: true)),
        .pin(7, by: Principal(person: .alice, isAdmin: true)),
        .unpin(.min, by: Principal(person: .anonymous, isAdmin: false)),
        .pins(by: Principal(person: .alice, isAdmin: false)),
        .pins(by: Principal(person: .anonymous, isAdmin: false), readAccess: .anyoneIfOpen),
        .post(MessageBody.plain.with(.reply)), .post(MessageBody.rich.with(.full)),
        .create(
            NewConversation(
                ConversationRecord(
                    .pets, pinPolicy: .creator, creator: nil,
                    createdAt: Timestamp(milliseconds: 0)),
                creator: Principal(person: .agent, isAdmin: true), members: [.agent])),
        .update(
            {
                var update = ConversationUpdate(origin: "rooms")
                update.title = "Über uns"
                update.dialectData = ""
                (update.joinPolicy, update.isListed) = (.closed, false)
                return update
            }(), by: Principal(person: .agent, isAdmin: true)),
        .update(
            ConversationUpdate(origin: ""), by: Principal(person: .alice, isAdmin: false)),
        .receipts(by: Person.anonymous.id),
    ]

    static let inputs: [ConversationInput] =
        Self.commands.map { .command($0) } + [
            .unsubscribe(.alice), .detach, .attach(Attachment(present: [])),
            .attach(
                Attachment(
                    present: [.alice, .agent], joining: [.anonymous], knownOnline: [.alice],
                    delivered: [
                        DeliveryReport(user: .alice, range: 1...1),
                        DeliveryReport(user: .anonymous, range: 5...500),
                    ])),
            .delivered(.alice, 1...1), .delivered(.anonymous, 100...1_000_000), .offerRetained([]),
            .offerRetained(Self.retainedWrites),
        ]

    static let retainedWrites = [
        Write.Change.create(Self.record), .message(.plain),
        .amend(.edited, .edited(content: Message.edited.body.content), at: .sample),
        .member(.alice), .remove(.anonymous),
        .cursors(.alice, read: 1, delivered: 300), .end(at: .long), .skip,
        .amend(.deleted, .deleted, at: .long),
        .amend(
            .annotated,
            .reacted([
                ReactionChange(Emoji(stored: "❤"), by: .alice, isOn: true),
                ReactionChange(Emoji(stored: ":tada:"), by: .anonymous, isOn: false),
            ]), at: nil),
        .amend(
            .annotated, .pinned(PinState(isPinned: true, by: .agent, at: .long)), at: nil),
        .update(Self.record),
    ].enumerated().map { RetainedWrite(revision: $0.offset * 100, change: $0.element, storedAt: 0) }

    static let events: [ChatEvent] = [
        .created, .posted(.plain), .edited(.edited), .deleted(.deleted), .joined(.alice),
        .renamed(.bob), .left(.carol, at: .sample),
        .ended(by: .anonymous, at: .sample), .typing(.alice, true), .typing(.agent, false),
        .read(.alice, [1, 2], through: 3),
        .status(author: .alice, .delivered, [5], at: .sample),
        .status(author: .anonymous, .read, [], at: .long),
        .presence(Self.changes), .presence([]), .crowd(online: 5000, Self.changes),
        .reacted(.annotated), .pinned(.annotated), .unpinned(.formerlyPinned), .posted(.annotated),
        .updated(Self.record, by: .agent, rev: 300),
    ]

    /// Every kind of item with all possible contents.
    static let items: [Envelope.Item] =
        Self.inputItems + Self.answerItems + Self.eventItems + [
            .notOwner(0), .notOwner(RequestID(rawValue: .max)), .reattach(.long), .reattach(.lobby),
            .resynchronize, .recoveryQuery(.long), .recoveryQuery(.lobby),
        ]

    private static let inputItems: [Envelope.Item] = Self.inputs.enumerated().map { number, input in
        .input(
            Envelope.Input(
                conversation: number % 2 == 0 ? .lobby : .long, input: input,
                request: RequestID(rawValue: number % 3 == 0 ? 0 : 5 << 32 | 7),
                isRetry: number % 4 == 0, ownerSlot: number % 5 == 0 ? .max : 0,
                feedSlot: number % 2 == 0 ? .max : .max - 1,
                sendOrder: number % 3 == 0
                    ? .none : SendOrder(number: 1 << 40, after: UInt64(number))))
    }

    private static let answerItems: [Envelope.Item] = Self.answers.enumerated().map {
        number, answer in
        .answer(
            RequestID(rawValue: .max), answer, slot: number % 2 == 0 ? .max : UInt32(number))
    }

    private static let eventItems: [Envelope.Item] = Self.events.enumerated().map {
        number, event in
        .event(
            Envelope.EventNotification(
                conversation: number % 4 == 0 ? .long : .lobby, event: event, revision: number,
                answering: RequestID(rawValue: number % 2 == 0 ? 0 : 1 << 40),
                feedSlot: UInt32(number)))
    }

    static let envelopes = [
        Envelope(from: .near, to: .far, number: 1, view: 12, items: Self.items),
        Envelope(
            from: LoopID(incarnation: LoopID.near.incarnation, loop: 0), to: .far, number: .max,
            view: 0, items: []),
        Envelope(
            from: .near, to: LoopID(incarnation: .max, loop: .max), number: 300, view: 1 << 40,
            items: [.resynchronize]),
    ]
}
