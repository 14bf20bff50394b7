import Bytes
import ChatModel
import DialectKit
import DialectTestSupport
import Identity
import PetsDialect
import Testing

/// Lists, the history and tokens.
extension PetsOutputTests {
    static func listed(
        _ id: String, at milliseconds: Int64, _ template: ConversationTemplate = .pets,
        ended: Bool = false, last: Message? = nil
    ) -> ListedMembership {
        let time = Timestamp(milliseconds: milliseconds)
        var record = ConversationRecord(
            template, dialectData: template == .pets ? .init(Self.fields) : "",
            creator: UserID(tokenSubject: "cid"), createdAt: time)
        record.endedAt = ended ? time : nil
        return ListedMembership(
            key: ConversationKey(tenant: "tenant", id: .init(id)), record: record,
            head: last?.sequence ?? 0,
            member: Member(
                user: UserID(tokenSubject: "ann"), name: "Ann", role: .member, joinedAt: time),
            lastMessage: last, unreadCount: 0)
    }

    @Test(
        "list the newest conversations up to the limit of an answer, and tell that there are more")
    func longList() throws {
        var limits = Limits()
        limits.outboundBytes = 50_000
        var probe = SessionProbe.pets(limits: limits)
        _ = probe.send(#"{"event":"conversations","data":{}}"#)
        var page = MembershipPage()
        page.memberships = (0..<200).map {
            Self.listed(
                "c\($0)", at: Int64($0),
                last: Self.message(1, String(repeating: "x", count: 1000)))
        }
        page.next = "c199"
        _ = probe.storeAnswer(.memberships(page))
        page.memberships = (200..<300).map {
            Self.listed(
                "c\($0)", at: Int64($0),
                last: Self.message(1, String(repeating: "x", count: 1000)))
        }
        page.next = nil
        let answer = try #require(probe.storeAnswer(.memberships(page)).first)
        #expect((30_000...80_000).contains(answer.utf8.count), "\(answer.utf8.count)")
        #expect(answer.hasPrefix(#"{"event":"conversations","data":[{"conversation_id":"c299","#))
        #expect(answer.hasSuffix(#"],"truncated":true}"#))
    }

    @Test("list the active conversations of all pages, most recent activity first")
    func listing() {
        var probe = SessionProbe.pets()
        _ = probe.send(#"{"event":"conversations","data":{}}"#)
        var page = MembershipPage()
        page.memberships = [Self.listed("old", at: 1), Self.listed("over", at: 9, ended: true)]
        page.next = "old"
        #expect(
            probe.storeAnswer(.memberships(page)) == [
                "fetch conversations of ann in tenant after old unread 0, after 0 bytes"
            ])
        page.memberships = [
            Self.listed("room", at: 2, .init(origin: "rooms"), last: Self.message(3, "bye")),
            Self.listed("@user:ann", at: 3, .inbox),
        ]
        page.next = nil
        #expect(
            probe.storeAnswer(.memberships(page)) == [
                #"{"event":"conversations","data":["#
                    + #"""
                    {"conversation_id":"room","pet_id":null,"providers":[],"client_id":"cid",\#
                    "created_at":"1970-01-01T00:00:00.002Z",\#
                    "updated_at":"1970-01-01T00:00:00.002Z",
                    """#
                        + #"""
                        "last_message":{"conversation_id":"room","message_id":"3",\#
                        "sender_id":"ann","content":"bye",\#
                        "timestamp":"2026-01-31T12:00:00.123Z"}},
                        """#
                        + #"""
                        {"conversation_id":"old",\#(Self.fields),"client_id":"cid",\#
                        "created_at":"1970-01-01T00:00:00.001Z",\#
                        "updated_at":"1970-01-01T00:00:00.001Z","last_message":null}]}
                        """#
            ])
        // Nothing of the failed list remains in the next one.
        _ = probe.send(#"{"event":"conversations","data":{}}"#)
        #expect(
            probe.storeAnswer(.memberships(MembershipPage())) == [
                #"{"event":"conversations","data":[]}"#
            ])
        _ = probe.send(#"{"event":"conversations","data":{}}"#)
        #expect(
            probe.storeAnswer(nil) == [
                #"""
                {"event":"error","data":{"message":"the conversations cannot be listed at the \#
                moment; try again","event":"conversations"}}
                """#
            ])
    }

    @Test("contain the history oldest first, with edits and deletions")
    func history() {
        var probe = SessionProbe.pets()
        _ = probe.send(#"{"event":"history","data":{"conversation_id":"c"}}"#)
        let page = MessagePage(
            messages: [Self.message(1, "one", .edited), Self.message(2, "", by: "bob", .deleted)],
            head: 2, oldest: 1, revision: 4)
        #expect(
            probe.page(page) == [
                #"{"event":"history","data":{"conversation_id":"c","messages":["#
                    + #"""
                    {"conversation_id":"c","message_id":"1","sender_id":"ann","content":"one",\#
                    "timestamp":"2026-01-31T12:00:00.123Z","is_edited":true,\#
                    "is_deleted":false},
                    """#
                        + #"""
                        {"conversation_id":"c","message_id":"2","sender_id":"bob","content":"",\#
                        "timestamp":"2026-01-31T12:00:00.123Z","is_edited":false,\#
                        "is_deleted":true}]}}
                        """#
            ])
        #expect(
            probe.page(nil) == [
                #"""
                {"event":"error","data":{"message":"the history cannot be read at the moment; try \#
                again","event":"history"}}
                """#
            ])
    }

    @Test("report whether a new token is valid")
    func tokens() {
        var probe = SessionProbe.pets()
        #expect(
            probe.perform {
                $0.authenticated(.success(.init(user: "ann", tenant: "tenant")), into: &$1)
            } == [
                #"{"event":"authenticated","data":{"user_id":"ann"}}"#
            ])
        #expect(
            probe.perform {
                $0.authenticated(.failure(CredentialError("is of another user")), into: &$1)
            } == [
                #"""
                {"event":"error","data":{"message":"token: is of another user",\#
                "event":"authenticate"}}
                """#
            ])
        #expect(
            probe.perform { $0.tokenExpired(into: &$1) } == [
                #"{"event":"error","data":{"message":"token expired"}}"#,
                "close 4401 token expired",
            ])
    }
}
