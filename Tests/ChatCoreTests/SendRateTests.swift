import Bytes
import ChatModel
import ChatSimulation
import Testing

@testable import ChatCore

/// Limits that hold over all nodes, because the owner applies them.
@Suite("The rate of one user in a conversation")
struct SendRateTests {
    private static func limits(perSecond: Int = 2, burst: Int = 5) -> Limits {
        var limits = Limits()
        limits.messagesPerSecond = perSecond
        // The owner admits a second more than a node.
        limits.messageBurst = burst - perSecond
        return limits
    }

    private let ann = Person(id: UserID(tokenSubject: "ann"), name: "Ann")
    private let bob = Person(id: UserID(tokenSubject: "bob"), name: "Bob")

    private func post(
        _ content: String, by person: Person, on loop: LoopID = east, retry isRetry: Bool = false,
        in fixture: inout ConversationFixture
    ) -> Bool {
        let body = MessageBody(
            author: person, clientMessageID: ClientMessageID(given: .init(content)),
            content: content)
        let output = fixture.submit(.post(body), on: loop, retry: isRetry)
        if output.contains(where: { $0.hasSuffix("refused, rate limited") }) { return false }
        #expect(!output.contains { $0.contains("refused") }, "\(output)")
        return true
    }

    @Test("is one for all nodes, and for each user its own")
    func nodes() {
        var fixture = ConversationFixture(of: [self.ann, self.bob], Self.limits())
        var sent = 0
        for number in 0..<10 {
            for loop in [east, west]
            where self.post(
                "\(number) \(loop)", by: self.ann, on: loop, in: &fixture)
            {
                sent += 1
            }
        }
        #expect(sent == 5)
        #expect(self.post("mine", by: self.bob, in: &fixture))
        _ = fixture.advance(by: .seconds(1))
        let later = (0..<10).count { self.post("later \($0)", by: self.ann, in: &fixture) }
        #expect(later == 2)
    }

    @Test("counts edits, deletions, reactions and pins, and no reads")
    func amendments() throws {
        var fixture = ConversationFixture(of: [self.ann], Self.limits(burst: 8))
        #expect(self.post("one", by: self.ann, in: &fixture))
        let principal = Principal(person: self.ann, isAdmin: false)
        let emoji = try #require(Emoji(given: "👍"))
        let commands: [ChatCommand] = [
            .edit(1, content: "two", by: principal), .pin(1, by: principal),
            .unpin(1, by: principal), .react(1, emoji, isOn: true, by: principal),
            .react(1, emoji, isOn: false, by: principal), .delete(1, by: principal),
        ]
        for command in commands { _ = fixture.submit(command) }
        #expect(self.post("the last one", by: self.ann, in: &fixture))
        for command in commands {
            #expect(
                fixture.submit(command).contains { $0.hasSuffix("refused, rate limited") },
                "\(command)")
        }
        #expect(
            !fixture.submit(.readThrough(1, by: self.ann.id)).contains { $0.contains("refused") })
    }

    @Test("counts each KiB of stored text that an event repeats, and waits after it")
    func repeatedText() {
        var fixture = ConversationFixture(of: [self.ann], Self.limits(burst: 40))
        let body = MessageBody(
            author: self.ann, clientMessageID: nil,
            content: String(repeating: "\u{1}", count: 10 * 1024),
            metadata: Array(repeating: UInt8(ascii: " "), count: 5 * 1024))
        _ = fixture.submit(.post(body))
        // Each costs 1 and 15 more.
        let principal = Principal(person: self.ann, isAdmin: false)
        let (pin, unpin) = (ChatCommand.pin(1, by: principal), ChatCommand.unpin(1, by: principal))
        func isRefused(_ command: ChatCommand) -> Bool {
            fixture.submit(command).contains { $0.hasSuffix("refused, rate limited") }
        }
        #expect([pin, unpin, pin].map { isRefused($0) } == [false, false, false])
        #expect(isRefused(unpin))
        #expect(!self.post("later", by: self.ann, in: &fixture), "it is 9 below zero")
        _ = fixture.advance(by: .seconds(5))
        #expect(self.post("later", by: self.ann, in: &fixture))
        #expect(!isRefused(.typing(true, by: self.ann)))
        _ = fixture.advance(by: .seconds(60))
        // An edit repeats the metadata only: 1 and 5 more.
        let edit = ChatCommand.edit(1, content: "x", by: principal)
        #expect((0..<8).count { _ in !isRefused(edit) } == 7)
        _ = fixture.advance(by: .seconds(60))
        // A change of the title costs 1 and 3 more.
        let updates = (0..<12).map { number in
            fixture.update(by: self.ann) {
                $0.title = "\(number)" + String(repeating: "x", count: 3 * 1024)
            }
        }
        #expect(updates.count { !$0.contains { $0.hasSuffix("refused, rate limited") } } == 10)
    }

    @Test("neither counts a repeated send nor refuses a retry, which was admitted before")
    func repeats() {
        var fixture = ConversationFixture(of: [self.ann], Self.limits())
        for _ in 0..<10 { #expect(self.post("same", by: self.ann, in: &fixture)) }
        for number in 0..<4 { #expect(self.post("\(number)", by: self.ann, in: &fixture)) }
        #expect(!self.post("one more", by: self.ann, in: &fixture))
        #expect(self.post("retried", by: self.ann, retry: true, in: &fixture))
    }

    @Test("is that at which nodes accepted messages, which may have waited since")
    func waiting() throws {
        var rates = SendRates()
        let limits = Self.limits(perSecond: 2, burst: 2)
        // A user that sends at its limit for ten seconds, of which all arrives at once.
        for second in 0..<10 as Range<Int64> {
            try rates.admit(1, limits, at: 1000 * second)
            try rates.admit(1, limits, at: 1000 * second)
        }
        #expect(throws: ChatError.self) { try rates.admit(1, limits, at: 9000) }
        // The clock of another node is behind by a second. It gives nothing that was given already.
        #expect(throws: ChatError.self) { try rates.admit(1, limits, at: 8000) }
        try rates.admit(1, limits, at: 9500)
        // The clock was set back by an hour.
        try rates.admit(1, limits, at: -3_600_000)
        try rates.admit(1, limits, at: -3_600_000)
        #expect(throws: ChatError.self) { try rates.admit(1, limits, at: -3_600_000) }
    }

    @Test("is remembered only of users that sent something in the last moments")
    func memory() throws {
        var rates = SendRates()
        let limits = Self.limits()
        for user in 0..<10_000 as Range<UInt32> {
            try rates.admit(user, limits, at: Int64(user) * 100)
        }
        #expect(rates.count < 200)
    }

    @Test("does not apply to inboxes, whose authors share one number")
    func inboxes() {
        var inbox = ConversationFixture(Self.limits(), isInbox: true)
        for number in 0..<20 { #expect(self.post("\(number)", by: self.ann, in: &inbox)) }
    }
}
