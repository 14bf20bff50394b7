import Bytes
import ChatModel
import DialectKit
import Identity
import Testing

private let template = ConversationTemplate(origin: "pets")

/// A connection of Ann, and the tags of its unanswered requests.
private struct ScriptedSubscriber {
    static let ann = Person(id: UserID(tokenSubject: "ann"), name: "Ann")

    var subscriptions: UserSubscriptions
    private(set) var tags: [String: RequestTag] = [:]

    init(_ grants: Grants = .none) {
        self.subscriptions = UserSubscriptions(
            tenant: "t", principal: Principal(person: Self.ann, isAdmin: false), grants: grants,
            template: template)
    }

    private static func name(_ key: ConversationKey) -> String {
        key.isInbox ? "inbox" : key.id.string
    }

    /// - Returns: the steps that the change appended.
    mutating func run(_ change: (inout UserSubscriptions, inout SessionSteps) -> Void) -> [String] {
        var steps = SessionSteps(limits: Limits())
        change(&self.subscriptions, &steps)
        return steps.list.map { step in
            switch step {
            case .enter(let key, let request, let start, let tag):
                self.tags[Self.name(key)] = tag
                var position = ""
                if case .after(let head, let revision) = start {
                    position = " after \(head), revision \(revision ?? -1)"
                }
                return "enter \(Self.name(key))\(request.isListedInToken ? ", listed" : "")"
                    + position
            case .fetch(.memberships(_, _, let after, _, _), let tag),
                .readFurther(.fetch(.memberships(_, _, let after, _, _), let tag), _):
                self.tags["list"] = tag
                return "list after \(after?.string ?? "nothing")"
            case .submit(.post(let body), let key, _):
                return "post \(body.content) in \(Self.name(key))"
            case .close(let code, _): return "close \(code)"
            default: return "\(step)"
            }
        }
    }

    mutating func enter(_ conversation: ByteString) -> [String] {
        self.run { $0.enter(conversation, into: &$1) }
    }

    mutating func answer(_ request: String, _ answer: ChatAnswer) -> [String] {
        let tag = self.tags[request]!
        return self.run {
            let isConsumed = $0.consume(answer, for: tag, into: &$1)
            #expect(isConsumed)
        }
    }

    mutating func answerList(_ answer: StoreAnswer?) -> [String] {
        let tag = self.tags["list"]!
        return self.run {
            let isConsumed = $0.consume(answer, for: tag, into: &$1)
            #expect(isConsumed)
        }
    }

    static let joined = ChatAnswer.joined(
        JoinResult(
            head: 0, oldest: 1, revision: 1, ended: nil, present: [], presentCount: 0,
            isCrowd: false))

    static func page(_ ids: [ByteString], at moment: Int64 = 0, next: ByteString? = nil)
        -> StoreAnswer
    {
        let time = Timestamp(milliseconds: moment)
        var page = MembershipPage()
        page.memberships = ids.map { id in
            ListedMembership(
                key: id == "inbox"
                    ? .inbox(of: self.ann.id, in: "t") : ConversationKey(tenant: "t", id: id),
                record: ConversationRecord(template, creator: nil, createdAt: time),
                head: 0,
                member: Member(user: self.ann.id, name: "Ann", role: .member, joinedAt: time),
                lastMessage: nil, unreadCount: 0)
        }
        page.next = next
        return .memberships(page)
    }
}

@Suite("The subscriptions of a user")
struct UserSubscriptionsTests {
    @Test("begin with the inbox and the token's conversations, and continue with the list")
    func opening() {
        var ann = ScriptedSubscriber(.listed(["b", "a"]))
        #expect(
            ann.run { $0.open(into: &$1) } == [
                "enter inbox, listed", "enter a, listed", "enter b, listed",
            ])
        #expect(ann.answer("inbox", ScriptedSubscriber.joined) == ["list after nothing"])
        // The token's conversations and inboxes are not entered again.
        #expect(
            ann.answerList(ScriptedSubscriber.page(["a", "c", "inbox"], next: "5_c"))
                == ["list after 5_c"])
        #expect(ann.answerList(ScriptedSubscriber.page(["d"])) == ["enter c", "enter d"])
    }

    @Test(
        "contain a conversation only after its owner has admitted the user",
        arguments: [
            (ScriptedSubscriber.joined, true, []),
            (.failed(.unavailable), false, ["close 1013"]),
            (.failed(.notAMember), false, []),
        ] as [(ChatAnswer, Bool, [String])])
    func entries(answer: ChatAnswer, isSubscribed: Bool, steps: [String]) {
        var ann = ScriptedSubscriber()
        #expect(ann.enter("a") == ["enter a"])
        #expect(ann.enter("a") == [], "the first request has no answer yet")
        #expect(!ann.subscriptions.contains("a"))
        #expect(ann.answer("a", answer) == steps)
        #expect(ann.subscriptions.contains("a") == isSubscribed)
        #expect(ann.enter("a") == (isSubscribed ? [] : ["enter a"]))
    }

    @Test("close the connection if the inbox or the list cannot be read")
    func failures() {
        var ann = ScriptedSubscriber()
        _ = ann.run { $0.open(into: &$1) }
        #expect(ann.answer("inbox", .failed(.unavailable)) == ["close 1013"])
        #expect(ann.answer("inbox", ScriptedSubscriber.joined) == ["list after nothing"])
        #expect(ann.answerList(.failed(StoreFailure("unavailable"))) == ["close 1013"])
        #expect(ann.answerList(nil) == ["close 1013"])
        // Another inbox than the user's own does not start the list.
        _ = ann.run { $0.subscribeToInbox(.inbox(ofAgent: "bot", in: "t"), into: &$1) }
        #expect(ann.answer("inbox", ScriptedSubscriber.joined) == [])
    }

    @Test("are limited to the thousand listed conversations with the newest activity")
    func limit() {
        var ann = ScriptedSubscriber()
        _ = ann.run { $0.open(into: &$1) }
        _ = ann.answer("inbox", ScriptedSubscriber.joined)
        let ids = (0...UserSubscriptions.limit).map { ByteString("c\($0)") }
        let next = ann.answerList(ScriptedSubscriber.page(ids, at: 2, next: "5_c"))
        #expect(next == ["list after 5_c"])
        _ = ann.answerList(ScriptedSubscriber.page(["old"], at: 1, next: "1_old"))
        let steps = ann.answerList(ScriptedSubscriber.page(["new"], at: 3))
        #expect(steps.count == 1000 && steps.first == "enter new")
        #expect(ann.enter("old") == ["enter old"], "the client may still name it")
    }

    @Test("are limited, however many conversations other users create")
    func inboxLimit() {
        var ann = ScriptedSubscriber()
        func enterFromInbox(_ id: ByteString) -> (steps: [String], isEntered: Bool) {
            var isEntered = false
            let notice = InboxNotice(id, from: .start)
            let steps = ann.run { isEntered = $0.enter(notice, into: &$1) }
            return (steps, isEntered)
        }
        for number in 0..<2 * UserSubscriptions.limit {
            let entry = enterFromInbox(ByteString("c\(number)"))
            #expect(entry.isEntered && entry.steps.count == 1)
        }
        let refused = enterFromInbox("more")
        #expect(refused.steps == [] && !refused.isEntered)
        _ = ann.answer("c7", ScriptedSubscriber.joined)
        #expect(enterFromInbox("c7").isEntered, "the connection has it already")
        ann.subscriptions.remove("c7")
        #expect(enterFromInbox("more").isEntered, "a place is free")
    }

    @Test("begin at the position of the notice")
    func noticePositions() {
        let notice = InboxNotice("a", from: .init(head: 3, revision: 7))
        var ann = ScriptedSubscriber()
        #expect(
            ann.run { _ = $0.enter(notice, into: &$1) } == ["enter a after 3, revision 7"])
    }

    @Test("leave the answers of the session's own requests to the session")
    func otherTags() {
        var ann = ScriptedSubscriber()
        let tag = RequestTag(kind: UserSubscriptions.firstTagKind - 1)
        let steps = ann.run {
            let isConsumed = $0.consume(ScriptedSubscriber.joined, for: tag, into: &$1)
            let isListConsumed = $0.consume(ScriptedSubscriber.page([]), for: tag, into: &$1)
            #expect(!isConsumed && !isListConsumed)
        }
        #expect(steps == [])
    }

    @Test(
        "follow a new token",
        arguments: [
            (Grants.none, false), (.listed(["a"]), true), (.listed(["b"]), false), (.all, true),
        ])
    func newToken(grants: Grants, isListed: Bool) {
        var ann = ScriptedSubscriber()
        ann.subscriptions.updateIdentity(Identity(user: "ann", grants: grants, isAdmin: true))
        #expect(ann.subscriptions.principal.isAdmin)
        #expect(ann.subscriptions.principal.person.id == ScriptedSubscriber.ann.id)
        #expect(ann.enter("a") == ["enter a" + (isListed ? ", listed" : "")])
    }

    @Test(
        "record what the session enters and leaves itself, and notify the user's other connections")
    func ownEntries() {
        var ann = ScriptedSubscriber()
        ann.subscriptions.insert("a")
        #expect(ann.enter("a") == [])
        let notice = InboxNotice("a", from: .start)
        #expect(ann.run { $0.notifyOtherConnections(notice, into: &$1) } == ["post a in inbox"])
        ann.subscriptions.remove("a")
        #expect(ann.subscriptions.subscribed == [])
        #expect(ann.enter("a") == ["enter a"])
    }
}
