import Bytes
import ChatModel
import Testing

@Suite("An emoji of a reaction")
struct EmojiTests {
    @Test(
        "is one character, or a name between colons",
        arguments: [
            "👍", "👍🏽", "👩‍👩‍👧", "🇩🇪", "❤", "é", "字", "a", "1", "+", ":", ":tada:", ":+1:",
            ":a_b-c:",
            ":A1:", ":01234567890123456789012345678:",
        ])
    func valid(_ text: String) {
        #expect(Emoji(given: text)?.text.string == text)
    }

    @Test(
        "is nothing else, and has at most 32 bytes",
        arguments: [
            "", " ", "ab", "👍👍", "👍 ", "::", ":a", "a:", ":a b:", ":é:", ":a:b:", "\n",
            "\u{0}",
            "\u{200B}", "\u{200D}", "\u{200E}", "\u{202E}", "\u{2066}", "\u{3164}", "\u{2800}",
            "\u{FEFF}", "\u{AD}", "\u{34F}", "\u{115F}", "\u{E0061}", "\u{202E}👍", "👍\u{202E}",
            "\r\n", "\u{2028}", "\u{A0}", "\u{E000}", "\u{FE0F}", "\u{10FFFF}",
            ":012345678901234567890123456789+:", "e" + String(repeating: "\u{301}", count: 16),
        ])
    func invalid(_ text: String) {
        #expect(Emoji(given: text) == nil)
    }

    @Test("has no variation selectors, so that one character is one emoji")
    func selectors() {
        #expect(Emoji(given: "❤\u{FE0F}") == Emoji(given: "❤"))
        #expect(Emoji(given: "❤\u{FE0F}")?.description == "❤")
        #expect(Emoji(given: "1\u{FE0F}\u{20E3}")?.text.string == "1\u{20E3}")
        #expect(Emoji(given: "字\u{E0101}")?.text == "字")
    }
}

@Suite("The reactions to a message")
struct ReactionsTests {
    private static func user(_ number: Int) -> UserID {
        UserID(tokenSubject: ByteString("user \(number)"))
    }

    private static func change(_ emoji: Int, by user: Int, isOn: Bool = true) -> ReactionChange {
        ReactionChange(
            Emoji(stored: ByteString(":\(emoji):")), by: Self.user(user), isOn: isOn)
    }

    /// The users of each emoji.
    private static func text(_ reactions: Reactions) -> [String] {
        reactions.groups.map { group in
            "\(group.emoji) \(group.users.map(\.description).joined(separator: ", "))"
        }
    }

    @Test("are in the order of the first reaction with each emoji, and of the users")
    func order() throws {
        var reactions = Reactions()
        for (emoji, user) in [(1, 7), (2, 5), (1, 3), (2, 7), (1, 7), (2, 5)] {
            try reactions.apply(Self.change(emoji, by: user))
        }
        #expect(Self.text(reactions) == [":1: user 7, user 3", ":2: user 5, user 7"])
        try reactions.apply(Self.change(1, by: 7, isOn: false))
        try reactions.apply(Self.change(1, by: 7, isOn: false))
        #expect(Self.text(reactions) == [":1: user 3", ":2: user 5, user 7"])
        try reactions.apply(Self.change(1, by: 3, isOn: false))
        try reactions.apply(Self.change(9, by: 3, isOn: false))
        #expect(Self.text(reactions) == [":2: user 5, user 7"])
        // An emoji that comes back is the last one.
        try reactions.apply(Self.change(3, by: 3))
        try reactions.apply(Self.change(1, by: 3))
        #expect(reactions.groups.map(\.emoji.description) == [":2:", ":3:", ":1:"])
    }

    @Test("have at most 30 different emoji, and a user can always join one of them")
    func emojiLimit() throws {
        var reactions = Reactions()
        for emoji in 0..<30 { try reactions.apply(Self.change(emoji, by: emoji / 15)) }
        #expect(throws: ChatError.tooManyEmoji(limit: 30)) {
            try reactions.apply(Self.change(30, by: 2))
        }
        #expect(reactions.groups.count == 30)
        for emoji in 0..<30 { try reactions.apply(Self.change(emoji, by: 2)) }
        #expect(reactions.groups.allSatisfy { $0.users.count == 2 })
        try reactions.apply(Self.change(0, by: 0, isOn: false))
        #expect(throws: ChatError.tooManyEmoji(limit: 30)) {
            try reactions.apply(Self.change(30, by: 0))
        }
        try reactions.apply(Self.change(0, by: 2, isOn: false))
        try reactions.apply(Self.change(30, by: 0))
        #expect(reactions.groups.count == 30)
    }

    @Test("have at most 20 different emoji that one user has brought or joined")
    func userLimit() throws {
        var reactions = Reactions()
        for emoji in 0..<20 { try reactions.apply(Self.change(emoji, by: 1)) }
        #expect(throws: ChatError.tooManyReactions(limit: 20)) {
            try reactions.apply(Self.change(20, by: 1))
        }
        try reactions.apply(Self.change(20, by: 2))
        try reactions.apply(Self.change(20, by: 1))
        #expect(reactions.groups.last?.users == [Self.user(2), Self.user(1)])
    }
}

@Suite("An amended message")
struct AmendmentTests {
    private let message = Message(
        sequence: 4, revision: 5, sentAt: Timestamp(milliseconds: 6),
        body: MessageBody(
            author: Person(id: UserID(tokenSubject: "ann"), name: "Ann"),
            clientMessageID: ClientMessageID(stored: "c"), content: "one", metadata: [1],
            annotations: MessageAnnotations(
                reply: Reply(to: 3, thread: 2), mentions: Mentions(includesEveryone: true))))
    private let bob = Person(id: UserID(tokenSubject: "bob"), name: "Bob")

    private func reaction(_ isOn: Bool = true) -> Amendment {
        .reacted([ReactionChange(Emoji(stored: "x"), by: self.bob.id, isOn: isOn)])
    }

    private func pin(_ isPinned: Bool) -> Amendment {
        .pinned(PinState(isPinned: isPinned, by: self.bob, at: Timestamp(milliseconds: 9)))
    }

    @Test("keeps everything that the amendment does not name")
    func kept() throws {
        var amended = self.message
        for (number, amendment) in [
            self.reaction(), .edited(content: "eins"), self.pin(true), self.reaction(false),
        ].enumerated() {
            amended = try #require(amended.applying(amendment, revision: 10 + number))
        }
        #expect(amended.state == .edited && amended.revision == 13)
        #expect(amended.body.content == "eins" && amended.body.metadata == [1])
        #expect(amended.body.annotations?.reply == Reply(to: 3, thread: 2))
        #expect(amended.body.annotations?.mentions == Mentions(includesEveryone: true))
        #expect(amended.body.annotations?.reactions == Reactions())
        #expect(amended.isPinned)
        #expect(amended.sequence == 4 && amended.body.clientMessageID?.text == "c")
    }

    @Test("is the same if the amendment changes nothing")
    func noChange() throws {
        #expect(self.message.applying(self.reaction(false), revision: 6) == nil)
        #expect(self.message.applying(self.pin(false), revision: 6) == nil)
        let edited = try #require(self.message.applying(.edited(content: "one"), revision: 6))
        #expect(edited.state == .edited)
        #expect(edited.applying(.edited(content: "one"), revision: 7) == nil)
        let reacted = try #require(self.message.applying(self.reaction(), revision: 6))
        #expect(reacted.applying(self.reaction(), revision: 7) == nil)
    }

    @Test("keeps only its place and its reply once it is deleted")
    func deleted() throws {
        let pinned = try #require(self.message.applying(self.pin(true), revision: 6))
        let deleted = try #require(pinned.applying(.deleted, revision: 7))
        #expect(deleted.state == .deleted && deleted.body.content.isEmpty)
        #expect(deleted.body.metadata == nil && !deleted.isPinned)
        #expect(deleted.body.annotations?.reply == Reply(to: 3, thread: 2))
        #expect(deleted.body.annotations?.mentions == nil)
        for amendment in [.deleted, self.reaction(), self.pin(true), .edited(content: "x")] {
            #expect(deleted.applying(amendment, revision: 8) == nil)
        }
    }

    @Test("is known by its state, even if all reactions and the pin have ended")
    func wasAmended() throws {
        #expect(!self.message.wasAmended)
        for amendments: [Amendment] in [
            [self.reaction(), self.reaction(false)], [self.pin(true), self.pin(false)],
            [.edited(content: "x")], [.deleted],
        ] {
            let amended = try amendments.reduce(self.message) {
                try #require($0.applying($1, revision: 6))
            }
            #expect(amended.wasAmended)
            #expect(!amended.catchUpEvents.isEmpty)
        }
    }
}
