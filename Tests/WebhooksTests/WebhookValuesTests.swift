import Bytes
import ChatModel
import Configuration
import JSON
import Testing

@testable import Webhooks

@Suite("The address filter of webhooks")
struct AddressFilterTests {
    @Test(
        "refuses addresses that are not public",
        arguments: [
            "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255",
            "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "198.18.0.1",
            "224.0.0.1", "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1", "fc00::1",
            "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1",
            "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:1::", "2001:db8::1",
        ])
    func refused(_ text: String) throws {
        let address = try #require(IPAddress(text))
        #expect(!AddressFilter(allowing: []).allows(address))
        #expect(AddressFilter(allowing: [try #require(IPNetwork(text))]).allows(address))
    }

    @Test(
        "allows public addresses",
        arguments: [
            "1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.255.255", "100.128.0.1",
            "192.167.1.1", "223.255.255.255", "2606:4700::1111", "2a00:1450:4001::1",
            "::ffff:8.8.8.8",
        ])
    func allowed(_ text: String) throws {
        #expect(AddressFilter(allowing: []).allows(try #require(IPAddress(text))))
    }

    @Test("allows what the operator lists, and nothing beside it")
    func listed() throws {
        let filter = AddressFilter(allowing: [try #require(IPNetwork("10.1.0.0/16"))])
        #expect(filter.allows(try #require(IPAddress("10.1.2.3"))))
        #expect(!filter.allows(try #require(IPAddress("10.2.0.1"))))
    }
}

@Suite("The retry schedule of webhooks")
struct RetryScheduleTests {
    @Test("doubles the pause from 5 seconds to an hour")
    func pauses() {
        let pauses = (1...13).map {
            RetrySchedule.pause(attempts: $0, age: 0, retryAfter: nil, random: 0)
        }
        #expect(
            pauses == [
                5000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000, 1_280_000,
                2_560_000, 3_600_000, 3_600_000, 3_600_000,
            ])
        #expect(RetrySchedule.pause(attempts: 1, age: 0, retryAfter: nil, random: 1) == 6250)
    }

    @Test("waits as long as the receiver asks, and ends after 24 hours")
    func bounds() {
        func pause(_ age: Int64, _ retryAfter: Int? = nil) -> Int64? {
            RetrySchedule.pause(attempts: 1, age: age, retryAfter: retryAfter, random: 0)
        }
        #expect(pause(0, 120) == 120_000)
        #expect(pause(0, 1) == 1000)
        #expect(pause(0, 0) == 1000)
        #expect(
            RetrySchedule.pause(attempts: 9, age: 0, retryAfter: 2, random: 1) == 2000)
        #expect(pause(0, .max) == 86_400_000)
        #expect(pause(86_399_000) == 1000)
        #expect(pause(86_400_000) == nil)
    }
}

@Suite("The event of a webhook")
struct WebhookEventTests {
    private let key = ConversationKey(tenant: "acme", id: "lobby")
    private let all = Set(WebhookEventType.allCases)
    private let now = Timestamp(milliseconds: 1_700_000_009_000)

    private func event(_ change: Write.Change, types: Set<WebhookEventType>? = nil)
        -> OutboxEvent?
    {
        let write = Write(
            conversation: self.key, shard: 1, epoch: 1, revision: 7, change: change)
        return WebhookEvent.of(write, types: types ?? self.all, now: self.now)
    }

    private var message: Message {
        let body = MessageBody(
            author: Person(
                id: UserID(guest: "eve", key: "q8Zt-m_R", provenBy: .connection), name: "Eve",
                agent: "bot"),
            clientMessageID: ClientMessageID(given: "c1"), content: "a \"b\"\n",
            metadata: Array(#"{"k":[1]}"#.utf8))
        return Message(
            sequence: 3, revision: 7, sentAt: Timestamp(milliseconds: 1_700_000_000_123), body: body
        )
    }

    @Test("contains the whole message")
    func wholeMessage() throws {
        let event = try #require(self.event(.message(self.message)))
        #expect(event.type == "message.created")
        #expect(event.conversation == self.key)
        #expect(event.queuedAt == self.now)
        let text = String(decoding: event.body, as: UTF8.self)
        #expect(
            text == """
                {"type":"message.created","timestamp":"2023-11-14T22:13:20.123Z","data":\
                {"tenant":"acme","conversation":"lobby","revision":7,"message":{"sequence":3,\
                "author":{"id":"guest:eve","name":"Eve","agent":"bot",\
                "guest":true,"guest_key":"q8Zt-m_R"},\
                "sent_at":"2023-11-14T22:13:20.123Z","client_message_id":"c1",\
                "content":"a \\"b\\"\\n","metadata":{"k":[1]}}}}
                """)
    }

    @Test("has the same id for the same change, and another for another")
    func id() throws {
        let first = try #require(self.event(.message(self.message)))
        var other = self.message
        other.sentAt.milliseconds += 1
        #expect(self.event(.message(self.message))?.id == first.id)
        #expect(self.event(.message(other))?.id != first.id)
        #expect(!first.id.string.contains("."))
    }

    @Test("exists for every visible change, and is valid JSON with its type")
    func changes() throws {
        let time = Timestamp(milliseconds: 1_700_000_000_000)
        let member = Member(
            user: UserID(tokenSubject: "ann"), name: "Ann", role: .admin, joinedAt: time)
        let record = ConversationRecord(
            ConversationTemplate.testing, title: "Lobby", creator: member.user, createdAt: time)
        let changes: [(Write.Change, String?)] = [
            (.create(record), "conversation.created"), (.end(at: time), "conversation.ended"),
            (.message(self.message), "message.created"),
            (.message(self.message.deleted(revision: 7)), nil),
            (
                .amend(
                    self.message.edited(to: "x", revision: 7), .edited(content: "x"), at: time),
                "message.edited"
            ),
            (.amend(self.message.deleted(revision: 7), .deleted, at: time), "message.deleted"),
            (
                .amend(
                    self.message.reacted(with: Reactions(), revision: 7), .reacted([]), at: nil),
                nil
            ),
            (.member(member), "member.joined"), (.remove(member.user), "member.left"),
            (.cursors(member.user, read: 1, delivered: 1), nil), (.skip, nil),
        ]
        for (change, type) in changes {
            let event = self.event(change)
            #expect(event?.type.string == type)
            guard let event else { continue }
            let tree = try JSONTree(parsing: String(decoding: event.body, as: UTF8.self))
            #expect(tree["type"]?.stringValue == type)
            #expect(tree["data"]?["conversation"]?.stringValue == "lobby")
            #expect(tree["data"]?["revision"]?.integerValue == 7)
        }
        let deletion = self.event(
            .amend(self.message.deleted(revision: 7), .deleted, at: time))
        let tree = try JSONTree(
            parsing: String(decoding: try #require(deletion).body, as: UTF8.self))
        #expect(tree["data"]?["message"]?["content"] == nil)
    }

    @Test("is not made for types that nobody wants, and not for inboxes")
    func filters() {
        #expect(self.event(.message(self.message), types: [.memberJoined]) == nil)
        let inbox = ConversationKey.inbox(of: UserID(tokenSubject: "ann"), in: "acme")
        let write = Write(
            conversation: inbox, shard: 1, epoch: 1, revision: 1, change: .message(self.message))
        #expect(WebhookEvent.of(write, types: self.all, now: self.now) == nil)
    }

    @Test("of presence names the member")
    func presence() throws {
        let person = Person(id: UserID(tokenSubject: "ann"), name: "Ann")
        let changes = [true, false].map {
            PresenceChange(person: person, isOnline: $0, at: self.now)
        }
        let events = WebhookEvent.of(changes, in: self.key, types: self.all, now: self.now)
        #expect(events.map(\.type) == ["member.online", "member.offline"])
        #expect(events[0].id != events[1].id)
        let tree = try JSONTree(parsing: String(decoding: events[0].body, as: UTF8.self))
        #expect(tree["data"]?["user"]?["id"]?.stringValue == "ann")
    }
}

extension ConversationTemplate {
    static let testing = ConversationTemplate(
        origin: "conversations", joinPolicy: .open, isListed: false)
}
