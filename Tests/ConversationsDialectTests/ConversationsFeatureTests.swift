import Bytes
import ChatModel
import ConversationsDialect
import DialectKit
import DialectTestSupport
import Testing

@Suite("The server's frames of message features")
struct ConversationsFeatureTests {
    private static let ann = ConversationsOutputTests.ann
    private static let bob = ConversationsOutputTests.bob
    private static let head =
        #""sender_id":"bob","username":"Bob","content":"Ho","#
    private static let live =
        head + #""timestamp":"2026-01-31T12:00:00.123Z","status":"sent""#
    private static let fetched =
        head + #""sent_at":"2026-01-31T12:00:00.123Z","is_edited":false,"is_deleted":false"#

    private static func message(
        _ number: Int, reply: Reply? = nil, mentions: Mentions? = nil, reactions: Reactions? = nil,
        pin: PinState? = nil, _ content: String = "Ho"
    ) -> Message {
        var message = ConversationsOutputTests.message(number, content, by: Self.bob)
        message.body = message.body.with(
            MessageAnnotations(reply: reply, mentions: mentions, reactions: reactions, pin: pin))
        return message
    }

    private static let reactions = Reactions([
        .init(Emoji(given: "👍")!, users: [Self.bob.id, Self.ann.id]),
        .init(Emoji(given: ":x:")!, users: (0..<25).map { UserID(tokenSubject: .init("u\($0)")) }),
    ])
    private static let reactionsText =
        #"[{"emoji":"👍","count":2,"users":["bob","ann"]},{"emoji":":x:","count":25,"users":["#
        + (0..<20).map { #""u\#($0)""# }.joined(separator: ",") + "]}]"
    private static let pin = PinState(
        isPinned: true, by: Self.ann, at: ConversationsOutputTests.time)
    private static let pinText =
        #""pinned":{"by":"ann","username":"Ann \"the\" An","at":"2026-01-31T12:00:00.123Z"}"#
    private static let by = #""by":"ann","username":"Ann \"the\" An""#

    private func frames(of event: ChatEvent) -> [String] {
        var rendering = Rendering()
        ConversationsDialect().render(event, in: ConversationsOutputTests.key, into: &rendering)
        #expect(rendering.frames.allSatisfy { $0.audience == .everybody })
        return rendering.frames.indices.map {
            String(decoding: rendering.text.bytes[rendering.textRange(ofFrame: $0)], as: UTF8.self)
        }
    }

    @Test("show the message that a reply answers, its thread, and mentions")
    func references() {
        let reply = Self.message(
            4, reply: Reply(to: 3, thread: 1),
            mentions: Mentions(users: [Self.ann.id], nonMembers: [UserID(anonymous: "eve")]))
        #expect(
            self.frames(of: .posted(reply)) == [
                #"{"type":"chat_message","message":{"id":"4","# + Self.live
                    + #","reply_to":"3","thread":"1","mentions":["ann"],"#
                    + #""not_members":["guest:eve"],"rev":4},"rev":4}"#
            ])
        let all = Self.message(5, mentions: Mentions(includesEveryone: true))
        #expect(
            self.frames(of: .posted(all)) == [
                #"{"type":"chat_message","message":{"id":"5","# + Self.live
                    + #","mentions":"all","rev":5},"rev":5}"#
            ])
    }

    @Test("show all reactions to a message, and the first 20 users of each")
    func reacted() {
        #expect(
            self.frames(of: .reacted(Self.message(4, reactions: Self.reactions))) == [
                #"{"type":"reactions","message_id":"4","rev":4,"reactions":"#
                    + Self.reactionsText + "}"
            ])
        #expect(
            self.frames(of: .reacted(Self.message(4, reactions: Reactions()))) == [
                #"{"type":"reactions","message_id":"4","rev":4,"reactions":[]}"#
            ])
    }

    @Test("show a message that was pinned or whose pin ended, and by which user")
    func pinned() {
        #expect(
            self.frames(of: .pinned(Self.message(4, pin: Self.pin))) == [
                #"{"type":"pinned","message":{"id":"4","# + Self.live + "," + Self.pinText
                    + #","rev":4},"# + Self.by + #","rev":4}"#
            ])
        let ended = PinState(isPinned: false, by: Self.ann, at: ConversationsOutputTests.time)
        #expect(
            self.frames(of: .unpinned(Self.message(4, pin: ended))) == [
                #"{"type":"unpinned","message":{"id":"4","# + Self.live + #","rev":4},"# + Self.by
                    + #","rev":4}"#
            ])
    }

    @Test("of history have excerpts in the present state, own reactions, pins and threads")
    func pages() {
        var probe = SessionProbe()
        let long = String(repeating: "é", count: 130)
        var page = MessagePage(
            messages: [
                Self.message(4, reactions: Self.reactions, pin: Self.pin),
                Self.message(5, reply: Reply(to: 4, thread: 2)),
                Self.message(6, reply: Reply(to: 3, thread: 3)),
                Self.message(7, reply: Reply(to: 1, thread: 1)),
                Self.message(8, reply: Reply(to: 2, thread: 2)),
            ], head: 8, oldest: 2, revision: 9)
        page.replyTargets = [
            Self.message(3).deleted(revision: 9), Self.message(2, long),
        ]
        page.threads = [4: ThreadSummary(replyCount: 2, lastReply: 9)]
        _ = probe.send(#"{"action":"fetch_messages","after_id":"3","thread":"2"}"#)
        func reply(_ id: Int, to target: Int, in thread: Int, _ excerpt: String) -> String {
            #"{"id":"\#(id)",\#(Self.fetched),"reply_to":"\#(target)","thread":"\#(thread)","#
                + #""reply_excerpt":\#(excerpt),"rev":\#(id)}"#
        }
        func excerpt(_ id: Int, _ content: String) -> String {
            #"{"id":"\#(id)","sender_id":"bob","username":"Bob","content":"\#(content)"}"#
        }
        let own = Self.reactionsText.replacing("\"ann\"]}", with: "\"ann\"],\"mine\":true}")
        #expect(
            probe.page(page) == [
                #"{"type":"messages_fetched","conversation_id":"room-1","thread":"2","messages":["#
                    + [
                        #"{"id":"4",\#(Self.fetched),"reactions":\#(own),\#(Self.pinText),"#
                            + #""replies":2,"last_reply_id":"9","rev":4}"#,
                        reply(5, to: 4, in: 2, excerpt(4, "Ho")),
                        reply(6, to: 3, in: 3, "null"), reply(7, to: 1, in: 1, "null"),
                        reply(8, to: 2, in: 2, excerpt(2, String(long.prefix(120)))),
                    ].joined(separator: ",") + #"],"rev":9}"#
            ])
    }

    @Test("answer reactions, pins and searches")
    func answers() {
        var probe = SessionProbe()
        _ = probe.send(#"{"action":"react","message_id":"4","emoji":"👍","on":true}"#)
        #expect(
            probe.answer(.amended(Self.message(4))) == [
                #"{"type":"reacted","message_id":"4","rev":4}"#
            ])
        #expect(
            probe.answer(.failed(.tooManyEmoji(limit: 30))) == [
                #"{"type":"error","action":"react","error":"emoji: the message has "#
                    + #"30 different emoji; react with one of these"}"#
            ])
        _ = probe.send(#"{"action":"pins"}"#)
        #expect(
            probe.answer(
                .pins([
                    Self.message(4), Self.message(5, reply: Reply(to: 4, thread: 4)),
                    Self.message(6, reply: Reply(to: 3, thread: 3)),
                ])) == [
                    // Message 3 was not read, so nothing is known of it.
                    #"{"type":"pins","messages":[{"id":"4",\#(Self.fetched),"rev":4},"#
                        + #"{"id":"5",\#(Self.fetched),"reply_to":"4","thread":"4","#
                        + #""reply_excerpt":{"id":"4","sender_id":"bob","username":"Bob","#
                        + #""content":"Ho"},"rev":5},"#
                        + #"{"id":"6",\#(Self.fetched),"reply_to":"3","thread":"3","rev":6}]}"#
                ])
        _ = probe.send(#"{"action":"search","text":"ho"}"#)
        #expect(
            probe.storeAnswer(.found(SearchPage(messages: [Self.message(4)], next: 4))) == [
                #"{"type":"search_results","messages":[{"id":"4",\#(Self.fetched),"rev":4}],"#
                    + #""next_before_id":"4","incomplete":false}"#
            ])
        #expect(
            probe.storeAnswer(.found(SearchPage())) == [
                #"{"type":"search_results","messages":[],"next_before_id":null,"incomplete":false}"#
            ])
        #expect(
            probe.storeAnswer(.searchRefused(.userIsSearching)) == [
                #"{"type":"error","action":"search","error":"rate limited: "#
                    + #"a user can have 1 search under way; wait for its answer, then try again"}"#
            ])
        #expect(
            probe.storeAnswer(.cannotSearch) == [
                #"{"type":"error","action":"search","error":"this service has no search"}"#
            ])
        #expect(
            probe.storeAnswer(nil) == [
                #"{"type":"error","action":"search","#
                    + #""error":"the history cannot be searched at the moment; try again"}"#
            ])
    }
}
