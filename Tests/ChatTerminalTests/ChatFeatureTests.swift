import Bytes
import TerminalKit
import Testing

@testable import ChatTerminal
@testable import ConfabClient

@Suite("Replies, reactions, mentions, pins and search in a terminal")
struct ChatFeatureTests {
    private static let time = #""timestamp":"2026-01-31T12:00:00.123Z","status":"sent""#

    private func reply(_ id: Int, to other: Int, _ text: String, mentions: String = "[]")
        -> String
    {
        #"""
        {"type":"chat_message","message":{"id":"\#(id)","sender_id":"bob","username":"Bob",\#
        "content":"\#(text)",\#(Self.time),"reply_to":"\#(other)","thread":"\#(other)",\#
        "mentions":\#(mentions),"rev":\#(id)},"rev":\#(id)}
        """#
    }

    private func reactions(_ id: Int, rev: Int, _ users: String...) -> String {
        let list = users.map { #""\#($0)""# }.joined(separator: ",")
        let groups =
            users.isEmpty
            ? "" : #"{"emoji":"👍","count":\#(users.count),"users":[\#(list)]}"#
        return
            #"{"type":"reactions","message_id":"\#(id)","rev":\#(rev),"reactions":[\#(groups)]}"#
    }

    private func joined(
        _ messages: [(Int, String, String)] = [(2, "bob", "two"), (1, "bob", "one")]
    )
        -> ChatSessionFixture
    {
        var fixture = ChatSessionFixture()
        _ = fixture.join(messages)
        return fixture
    }

    /// The rows of the lines that a redrawn screen shows.
    private func rows(_ fixture: ChatSessionFixture, colour: Bool = false, columns: Int = 60)
        -> [String]
    {
        var layout = MessageLayout(hasColour: colour, clock: ClockText())
        // The time zone is that of the machine.
        let time = Timestamp(rfc3339: "2026-01-31T12:00:00.123Z").map { ClockText().time(of: $0) }
        return fixture.chat.current.lines.flatMap { line -> [String] in
            if case .notice = line { return [] }
            return layout.text(of: line, columns: columns).split(separator: "\n").map {
                String($0).replacing(time ?? "", with: "12:00")
            }
        }
    }

    @Test(
        "sends the request of a command",
        arguments: [
            (
                "/reply #2 yes  you",
                #"""
                {"action":"send_message","content":"yes  you","local_id":"id-1","reply_to":"2"}
                """#
            ),
            ("/react 2 👍", #"{"action":"react","message_id":"2","emoji":"👍","on":true}"#),
            ("/unreact 2 👍", #"{"action":"react","message_id":"2","emoji":"👍","on":false}"#),
            ("/pin 2", #"{"action":"pin","message_id":"2"}"#),
            ("/unpin #2", #"{"action":"unpin","message_id":"2"}"#),
            ("/pins", #"{"action":"pins"}"#),
            ("/thread 1", #"{"action":"fetch_messages","thread":"1","limit":50}"#),
            ("/search big news", #"{"action":"search","text":"big news","limit":20}"#),
            (
                "hi @Bob, @nobody x@bob",
                #"""
                {"action":"send_message","content":"hi @Bob, @nobody x@bob","local_id":"id-1",\#
                "mentions":["bob"]}
                """#
            ),
            (
                "@all: lunch",
                #"""
                {"action":"send_message","content":"@all: lunch","local_id":"id-1","mentions":"all"}
                """#
            ),
        ])
    func commands(line: String, frame: String) {
        var fixture = self.joined()
        #expect(fixture.type(line).sent.filter { !$0.contains(#""action":"read""#) } == [frame])
    }

    @Test(
        "explains a command that lacks something",
        arguments: [
            "/reply", "/reply 2", "/reply x yes", "/react 2", "/unreact 👍", "/pin", "/unpin x",
            "/thread", "/search",
        ])
    func incomplete(line: String) {
        var fixture = self.joined()
        let steps = fixture.type(line)
        #expect(steps.sent == [])
        #expect(steps.shown.count == 1 && steps.shown[0].hasPrefix("error /"))
    }

    @Test("names the protocol where it has no reactions")
    func unsupported() throws {
        var fixture = ChatSessionFixture(
            user: "bob",
            speaking: AgentsClient(try WebSocketURL("ws://host/v1/ws"), in: "dev", as: "bob"))
        #expect(
            fixture.type("/react 1 👍").shown == [
                """
                error The Agents protocol does not support /react; /help lists its commands.
                """
            ])
        #expect(!fixture.type("/help").shown[0].contains("/react"))
        var other = self.joined()
        #expect(other.type("/help").shown[0].contains("/react ID EMOJI"))
    }

    @Test("shows the text to which a message replies, in its present state")
    func quotes() {
        var fixture = self.joined()
        _ = fixture.receive(self.reply(3, to: 1, "three"))
        #expect(self.rows(fixture).suffix(2) == ["      ↪ #1 bob: one", "12:00 #3 Bob: three"])
        _ = fixture.receive(
            #"""
            {"type":"message.edited","message":{"id":"1","sender_id":"bob","content":"first",\#
            \#(Self.time),"is_edited":true,"rev":9},"rev":9}
            """#)
        #expect(self.rows(fixture).contains("      ↪ #1 bob: first"))
        _ = fixture.receive(
            #"""
            {"type":"message.deleted","message":{"id":"1","sender_id":"bob","content":"",\#
            \#(Self.time),"is_deleted":true,"rev":10},"rev":10}
            """#)
        #expect(self.rows(fixture).contains("      ↪ #1"))
    }

    @Test("loads the text to which a message replies, and shows it without an edit")
    func loadedQuotes() {
        var fixture = self.joined([(9, "bob", "nine")])
        let asked = fixture.receive(self.reply(10, to: 3, "ten")) + fixture.advanceTime(.seconds(1))
        let query = #"{"action":"fetch_messages","before_id":"4","limit":1}"#
        #expect(asked.sent.contains(query))
        #expect(self.rows(fixture).contains("      ↪ #3"))
        #expect(fixture.receive(ChatSessionFixture.page([(3, "ann", "three")])).shown == [])
        #expect(self.rows(fixture).contains("      ↪ #3 ann: three"))
    }

    @Test("shows the present reactions below a message, the user's own in brackets")
    func reactions() {
        var fixture = self.joined()
        #expect(fixture.receive(self.reactions(2, rev: 8, "bob")).shown == ["Reactions to #2: 👍 1"])
        #expect(self.rows(fixture).last == "      👍 1")
        _ = fixture.receive(self.reactions(2, rev: 9, "bob", "alice"))
        #expect(self.rows(fixture).last == "      [👍 2]")
        #expect(fixture.receive(self.reactions(2, rev: 7)).shown == [])
        #expect(fixture.receive(self.reactions(2, rev: 10)).shown == ["Reactions to #2: none"])
        #expect(self.rows(fixture).last == "12:00 #2 bob: two")
    }

    @Test("highlights messages that mention the user")
    func mentions() {
        var fixture = self.joined()
        _ = fixture.receive(self.reply(3, to: 1, "hello", mentions: #"["alice"]"#))
        #expect(self.rows(fixture).last == "12:00 #3 Bob: hello (mentions you)")
        #expect(self.rows(fixture, colour: true).last?.contains("\u{1B}[1;33mhello") == true)
        _ = fixture.receive(self.reply(4, to: 1, "hello", mentions: #"["carl"]"#))
        #expect(self.rows(fixture).last == "12:00 #4 Bob: hello")
    }

    @Test("shows a thread, and says so if its first message has left the history")
    func threads() {
        let message = { (id: Int, text: String, reply: String) in
            #"""
            {"id":"\#(id)","sender_id":"bob","content":"\#(text)",\#
            "sent_at":"2026-01-31T12:00:00.123Z"\#(reply),"rev":\#(id)}
            """#
        }
        let thread = { (messages: [String]) in
            #"""
            {"type":"messages_fetched","thread":"1",\#
            "messages":[\#(messages.joined(separator: ","))],"rev":60}
            """#
        }
        let reply = #","reply_to":"1","thread":"1","reply_excerpt":null"#
        var fixture = self.joined()
        _ = fixture.type("/thread 1")
        #expect(
            fixture.receive(thread([message(2, "two", reply), message(1, "one", "")])).shown == [
                "#1 bob: one", "#2 bob: two",
            ])
        _ = fixture.type("/thread 1")
        #expect(
            fixture.receive(thread([message(2, "two", reply)])).shown == [
                "notice The first message of this thread, #1, is no longer retained.",
                "#2 bob: two",
            ])
        // The page is full, so the first message may be before it.
        _ = fixture.type("/thread 1")
        let page = (2...51).reversed().map { message($0, "more", reply) }
        #expect(fixture.receive(thread(page)).shown.count == 50)
        _ = fixture.type("/thread 1")
        #expect(fixture.receive(thread([])).shown == ["notice There is no such message."])
    }

    @Test("shows pins, their end, and lists")
    func pins() {
        var fixture = self.joined()
        let event = { (type: String, pin: String) in
            #"""
            {"type":"\#(type)","message":{"id":"2","sender_id":"bob","content":"two",\#
            \#(Self.time)\#(pin),"rev":8},"by":"carl","username":"Carl","rev":8}
            """#
        }
        let pin = #","pinned":{"by":"carl","username":"Carl","at":"2026-01-31T12:00:00.123Z"}"#
        #expect(fixture.receive(event("pinned", pin)).shown == ["notice Carl pinned #2: two"])
        let end = event("unpinned", "").replacing(#""rev":8"#, with: #""rev":9"#)
        #expect(fixture.receive(end).shown == ["notice carl unpinned #2: two"])
        _ = fixture.type("/pins")
        #expect(
            fixture.receive(#"{"type":"pins","messages":[]}"#).shown == [
                "notice No message is pinned."
            ])
        _ = fixture.type("/search two")
        let found =
            #"""
            {"type":"search_results","messages":[{"id":"2","sender_id":"bob","content":"two",\#
            "sent_at":"2026-01-31T12:00:00.123Z"}],"next_before_id":null,"incomplete":false}
            """#
        #expect(fixture.receive(found).shown == ["#2 bob: two"])
        _ = fixture.type("/search three")
        #expect(
            fixture.receive(
                #"{"type":"search_results","messages":[],"next_before_id":null,"incomplete":false}"#
            ).shown == ["notice No message contains these words."])
        _ = fixture.type("/unpin 2")
        #expect(
            fixture.receive(
                #"{"type":"error","action":"unpin","error":"message_id: message 2 is not pinned"}"#
            ).shown == ["error The server says: message_id: message 2 is not pinned"])
    }

    @Test("prints replies and reactions as lines where there is no screen")
    func plain() {
        var output = TerminalOutput()
        var message = ChatMessage(id: 3, author: "bob", text: "yes")
        message.replyTo = 2
        message.mentionsMe = true
        message.reactions = [MessageReaction("👍", count: 2, users: [], isMine: true)]
        LineDisplay().show(.message(message), into: &output)
        LineDisplay().show(.reactions(message), into: &output)
        #expect(output.out == "bob (reply to #2, mentions you): yes\n")
        #expect(output.errors == "Reactions to #3: [👍 2]\n")
    }

    @Test("no row is wider than the screen", arguments: [12, 20, 40])
    func width(columns: Int) {
        var message = ChatMessage(id: 3, author: "bob", text: "a reply with some words")
        message.replyTo = 2
        message.replyExcerpt = MessageExcerpt(
            id: 2, author: "ann", displayName: "Ann", text: "世界 a long text, which is cut")
        message.reactions = ["👍", "🎉", "❤"].map { MessageReaction($0, count: 120, users: []) }
        var layout = MessageLayout(hasColour: false, clock: ClockText())
        for row in layout.text(of: .message(message), columns: columns).split(separator: "\n") {
            #expect(DisplayWidth.of(row) <= columns, "\(row)")
        }
    }
}

@Suite("The people of a conversation")
struct PeopleListTests {
    @Test(
        "are mentioned at the beginning of a word",
        arguments: [
            ("hello @ann", ["ann"]), ("@Ann Lee: hi", ["lee"]), ("@ann lee", ["lee"]),
            ("(@bob)", ["bob"]), ("x@bob", []), ("@bobby", []), ("@bob @ann @BOB", ["bob", "ann"]),
            ("@guest:carl?", ["guest:carl"]), ("@", []), ("@nobody", []),
        ])
    func mentions(line: String, users: [String]) {
        var people = PeopleList()
        people.record("ann", named: "Ann")
        people.record("lee", named: "Ann Lee")
        people.record("bob", named: "Robert")
        people.record("guest:carl", named: "Carl")
        #expect(people.mentioned(in: line) == .users(users))
        #expect(people.mentioned(in: line + " @all") == .all)
    }

    @Test("are bounded")
    func bounds() {
        var people = PeopleList()
        for number in 1...3000 { people.record("u\(number)", named: "User \(number)") }
        #expect(people.mentioned(in: "@u1") == .users(["u1"]))
        #expect(people.mentioned(in: "@u3000") == .users([]))
    }
}
