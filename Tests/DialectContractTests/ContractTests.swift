import Bytes
import DialectKit
import Identity
import Testing

@Suite("Every dialect")
struct ContractTests {
    private let stage = Stage()

    private static func token(_ user: String, _ grants: Grants = .all) -> Credentials {
        .bearer(Identity(user: .init(user), grants: grants))
    }

    private func enter(_ tongue: Tongue, _ user: String, after: Int? = nil) throws -> Stage.Client {
        let client = try #require(self.stage.connect(tongue, to: "room", after: after, as: Self.token(user)))
        try #require(client.closed == nil)
        return client
    }

    private static func said(_ range: ClosedRange<Int>, by user: String) -> [Tongue.Heard] {
        range.map { Tongue.Heard(id: $0, author: user, content: "message \($0)") }
    }

    @Test("tells everybody in a conversation what is said there, once, in order, its sender too", arguments: Tongue.all, Tongue.all)
    func talk(_ left: Tongue, _ right: Tongue) throws {
        let ann = try self.enter(left, "ann")
        let bob = try self.enter(right, "bob")
        let elsewhere = try #require(self.stage.connect(left, to: "other", as: Self.token("ann")))
        var expected: [Tongue.Heard] = []
        for number in 1...10 {
            let (client, user) = number % 3 == 0 ? (bob, "bob") : (ann, "ann")
            self.stage.say("message \(number)", in: "room", from: client)
            expected += Self.said(number...number, by: user)
        }
        #expect(ann.heard == expected)
        #expect(bob.heard == expected)
        // A connection for one conversation hears no other; the others hear all of their user's.
        #expect(elsewhere.heard == (left.hearsAll ? expected : []))
        #expect(ann.errors.isEmpty && bob.errors.isEmpty)
    }

    @Test(
        "makes one message of one id, however often it is sent, and over whichever connection",
        arguments: Tongue.all, Tongue.all)
    func repeats(_ left: Tongue, _ right: Tongue) throws {
        let ann = try self.enter(left, "ann")
        let bob = try self.enter(right, "bob")
        self.stage.say("message 1", in: "room", as: "id-1", from: ann)
        let again = try self.enter(right, "ann")
        for client in [ann, again] { self.stage.say("message 1", in: "room", as: "id-1", from: client) }
        #expect(bob.heard == Self.said(1...1, by: "ann"))
        #expect(ann.heard == Self.said(1...1, by: "ann") + Self.said(1...1, by: "ann"), "the repeat is answered with the first message")
        #expect(again.heard == Self.said(1...1, by: "ann"))
        // Somebody else's id is another one.
        self.stage.say("message 2", in: "room", as: "id-1", from: bob)
        #expect(bob.heard == Self.said(1...1, by: "ann") + Self.said(2...2, by: "bob"))
    }

    @Test("goes on where a client was, its own messages too", arguments: Tongue.all.filter(\.resumes))
    func resuming(_ tongue: Tongue) throws {
        let ann = try self.enter(tongue, "ann")
        for number in 1...4 { self.stage.say("message \(number)", in: "room", from: ann) }
        self.stage.leave(ann)
        let bob = try self.enter(tongue, "bob")
        for number in 5...6 { self.stage.say("message \(number)", in: "room", from: bob) }
        for (after, first) in [(0, 1), (3, 4), (5, 6), (6, 7), (100, 7)] {
            let again = try self.enter(tongue, "ann", after: after)
            let missed = (Self.said(1...4, by: "ann") + Self.said(5...6, by: "bob")).filter { $0.id >= first }
            #expect(again.heard == missed, "after \(after)")
            self.stage.leave(again)
        }
        let live = try self.enter(tongue, "ann", after: 5)
        self.stage.say("message 7", in: "room", from: bob)
        #expect(live.heard == Self.said(6...7, by: "bob"))
    }

    @Test("lets nobody in without a good token, or where it is not meant to be", arguments: Tongue.all)
    func refusals(_ tongue: Tongue) throws {
        _ = try self.enter(tongue, "ann")
        var strangers: [Credentials] = [.none, .refused("it is forged")]
        if !tongue.makesOpen { strangers.append(Self.token("eve", .listed(["another room"]))) }
        for credentials in strangers {
            let client = self.stage.connect(tongue, to: "room", as: credentials)
            if let client { self.stage.say("I am in", in: "room", from: client) }
            let errorCount = tongue.hello == nil ? 2 : 1
            #expect(client == nil || client?.closed.map { $0 >= 4000 } == true || client?.errors.count == errorCount, "\(credentials)")
            #expect(client?.heard.isEmpty != false)
        }
        let bob = try self.enter(tongue, "bob")
        self.stage.say("message 1", in: "room", from: bob)
        #expect(bob.heard == Self.said(1...1, by: "bob"))
        // Who has been let in once is a member and needs no listing any more.
        let carol = try #require(self.stage.connect(tongue, to: "room", as: Self.token("carol", .listed(["room"]))))
        #expect(carol.closed == nil && carol.errors.isEmpty)
        self.stage.leave(carol)
        let again = try #require(self.stage.connect(tongue, to: "room", as: Self.token("carol", .none)))
        #expect(again.closed == nil && again.errors.isEmpty)
    }

    @Test(
        "answers what it cannot take with an error, and lives on", arguments: Tongue.all,
        ["", "no JSON", "[]", "5", #"{"a":}"#, "nonsense", "blank", "too long"])
    func badInput(_ tongue: Tongue, _ kind: String) throws {
        let ann = try self.enter(tongue, "ann")
        let bob = try self.enter(tongue, "bob")
        let bytes = String(repeating: "é", count: 8193)
        switch kind {
        case "nonsense": self.stage.send(tongue.nonsense, from: ann)
        case "blank": self.stage.say(" \u{3000}\n", in: "room", from: ann)
        case "too long": self.stage.say(bytes, in: "room", from: ann)
        default: self.stage.send(tongue.raw(kind), from: ann)
        }
        #expect(ann.errors.count == 1, "\(ann.frames)")
        #expect(bob.heard.isEmpty && bob.errors.isEmpty)
        self.stage.say("message 1", in: "room", from: ann)
        #expect(ann.heard == Self.said(1...1, by: "ann"))
        #expect(ann.errors.count == 1)
        #expect(bob.heard == ann.heard)
    }

    @Test("carries every text as it is", arguments: Tongue.all, ["é", "e\u{301}", "\u{0}", "\"\\/", "😀\u{200D}👩", "\u{2028}x", "\u{7F}"])
    func texts(_ tongue: Tongue, _ content: String) throws {
        let ann = try self.enter(tongue, "ann")
        let bob = try self.enter(tongue, "bob")
        self.stage.say(content, in: "room", from: ann)
        #expect(bob.heard.map { Array(($0.content ?? "").unicodeScalars) } == [Array(content.unicodeScalars)])
        #expect(ann.heard == bob.heard)
    }
}
