import EventLoop
import SeededRandom
import Testing

@testable import ConfabClient

@Suite("Reactions, replies and pins in a timeline")
struct TimelineFeatureTests {
    private let now = MonotonicTime(nanoseconds: 0)
    private static let many = (1...25).map { "u\($0)" }

    private func message(
        _ id: Int, _ text: String? = nil, rev: Int? = nil, replyTo: Int? = nil, thread: Int? = nil
    ) -> ChatMessage {
        var message = ChatMessage(id: id, author: "bob", text: text ?? "\(id)")
        message.rev = rev ?? id
        message.replyTo = replyTo
        message.thread = thread ?? replyTo
        return message
    }

    private func edited(_ id: Int, _ text: String, rev: Int) -> Timeline.ReportedChange {
        var message = self.message(id, text, rev: rev)
        message.isEdited = true
        return .edited(message)
    }

    private func deleted(_ id: Int, rev: Int) -> Timeline.ReportedChange {
        var message = self.message(id, "", rev: rev)
        message.state = .deleted
        return .deleted(message)
    }

    private func pinned(_ id: Int, rev: Int) -> Timeline.ReportedChange {
        var message = self.message(id, rev: rev)
        message.pinned = MessagePin(by: "dan", byName: "Dan")
        return .pinned(message, by: "dan")
    }

    private func reactions(_ id: Int, rev: Int, _ groups: [String: [String]])
        -> Timeline.ReportedChange
    {
        .reactions(
            to: id, rev: rev,
            groups.sorted { $0.key < $1.key }.map {
                MessageReaction($0.key, count: $0.value.count, users: Array($0.value.prefix(20)))
            })
    }

    /// A timeline with the messages 1 to `last`, of the user `me`.
    private func loaded(_ last: Int) -> Timeline {
        var timeline = Timeline()
        timeline.user = "me"
        timeline.connectionOpened(replays: true, at: self.now)
        _ = timeline.joined(.newest((1...last).map { self.message($0) }, rev: last), at: self.now)
        return timeline
    }

    private func text(_ events: [ConversationEvent]) -> [String] {
        events.map {
            switch $0 {
            case .message(let message): "\(message.id)"
            case .change(let message): "\(message.id)=\(message.text)"
            case .remove(let message): "-\(message.id)"
            case .reactions(let message):
                "\(message.id) " + message.reactions.map { "\($0.emoji)\($0.count)" }.joined()
            case .pinned(let message, let user): "\(message.id) pinned by \(user)"
            case .unpinned(let message, let user): "\(message.id) unpinned by \(user)"
            default: "\($0)"
            }
        }
    }

    @Test("text, reactions and pin are compared by their own revisions")
    func parts() {
        let unpinned = Timeline.ReportedChange.unpinned(self.message(1, rev: 12), by: "eve")
        let cases: [([Timeline.ReportedChange], [String])] = [
            ([self.reactions(1, rev: 9, ["a": ["x"]])], ["1 a1"]),
            (
                [self.reactions(1, rev: 9, ["a": ["x"]]), self.reactions(1, rev: 8, ["b": ["x"]])],
                ["1 a1"]
            ),
            (
                [self.reactions(1, rev: 9, ["a": ["x"]]), self.edited(1, "new", rev: 8)],
                ["1 a1", "1=new"]
            ),
            (
                [self.reactions(1, rev: 9, ["a": ["x"]]), self.reactions(1, rev: 10, [:])],
                ["1 a1", "1 "]
            ),
            (
                [self.edited(1, "new", rev: 9), self.reactions(1, rev: 9, ["a": ["x"]])],
                ["1=new", "1 a1"]
            ),
            ([self.pinned(1, rev: 9), unpinned], ["1 pinned by dan", "1 unpinned by eve"]),
            ([unpinned, self.pinned(1, rev: 11)], []),
            (
                [self.pinned(1, rev: 9), self.deleted(1, rev: 10), self.pinned(1, rev: 9)],
                ["1 pinned by dan", "-1"]
            ),
            ([self.deleted(1, rev: 10), self.reactions(1, rev: 9, ["a": ["x"]])], ["-1"]),
        ]
        for (changes, expected) in cases {
            var timeline = self.loaded(1)
            #expect(changes.flatMap { self.text(timeline.change($0)) } == expected)
        }
    }

    @Test("any order of events leads to the newest state", arguments: 0..<100)
    func anyOrder(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var changes = (10..<30).map { rev in
            Bool.random(using: &random)
                ? self.edited(2, "text \(rev)", rev: rev)
                : self.reactions(2, rev: rev, ["e\(rev)": ["x"]])
        }
        var expected = self.loaded(2)
        for change in changes { _ = expected.change(change) }
        changes.shuffle(using: &random)
        var timeline = self.loaded(1)
        let early = Int.random(in: 0...changes.count, using: &random)
        for change in changes[..<early] { #expect(timeline.change(change) == []) }
        _ = timeline.receive(self.message(2), at: self.now)
        for change in changes[early...] { _ = timeline.change(change) }
        #expect(timeline.messages == expected.messages)
    }

    @Test("the resume point stays below changes of which other events may follow")
    func resumePoint() {
        var timeline = self.loaded(3)
        _ = timeline.change(self.edited(2, "x", rev: 9))
        #expect(timeline.rev == 8)
        _ = timeline.receive(self.message(4, rev: 10), at: self.now)
        #expect(timeline.rev == 10)
        // A replayed message in a newer state: other changes may still be under way.
        var changed = self.message(5, rev: 20)
        changed.wasChanged = true
        _ = timeline.receive(changed, at: self.now)
        #expect(timeline.rev == 10)
    }

    private enum MineStep {
        case event(Timeline.ReportedChange)
        case acknowledged(Bool, rev: Int)
        case page(MessageReaction, rev: Int)
    }

    @Test("reactions are this user's by lists, acknowledgements and pages")
    func mine() {
        let cases: [([MineStep], Bool)] = [
            ([.event(self.reactions(1, rev: 9, ["a": ["me", "x"]]))], true),
            ([.event(self.reactions(1, rev: 9, ["a": ["x"]]))], false),
            ([.event(self.reactions(1, rev: 9, ["a": Self.many]))], false),
            (
                [.acknowledged(true, rev: 9), .event(self.reactions(1, rev: 9, ["a": Self.many]))],
                true
            ),
            (
                [.event(self.reactions(1, rev: 9, ["a": Self.many])), .acknowledged(true, rev: 9)],
                true
            ),
            ([.acknowledged(true, rev: 9), .event(self.reactions(1, rev: 8, ["a": ["x"]]))], true),
            (
                [.acknowledged(true, rev: 9), .event(self.reactions(1, rev: 10, ["a": ["x"]]))],
                false
            ),
            (
                [
                    .acknowledged(true, rev: 9),
                    .event(self.reactions(1, rev: 9, ["a": Self.many])),
                    .acknowledged(false, rev: 11),
                    .event(self.reactions(1, rev: 11, ["a": Self.many])),
                ], false
            ),
            (
                [
                    .event(self.reactions(1, rev: 9, ["a": ["me"]])),
                    .event(self.reactions(1, rev: 10, ["a": Self.many])),
                ], true
            ),
            (
                [
                    .page(MessageReaction("a", count: 25, users: [], isMine: true), rev: 9),
                    .event(self.reactions(1, rev: 10, ["a": Self.many])),
                ], true
            ),
            (
                [
                    .acknowledged(true, rev: 9),
                    .page(MessageReaction("a", count: 25, users: []), rev: 10),
                    .event(self.reactions(1, rev: 11, ["a": Self.many])),
                ], false
            ),
            (
                [
                    .acknowledged(true, rev: 9), .event(self.reactions(1, rev: 9, ["a": ["me"]])),
                    .event(self.reactions(1, rev: 10, [:])),
                    .event(self.reactions(1, rev: 11, ["a": Self.many])),
                ], false
            ),
        ]
        for (index, (steps, expected)) in cases.enumerated() {
            var timeline = self.loaded(1)
            for step in steps {
                switch step {
                case .event(let change): _ = timeline.change(change)
                case .acknowledged(let isOn, let rev):
                    _ = timeline.reacted(to: 1, "a", isOn: isOn, rev: rev)
                case .page(let reaction, let rev):
                    var message = self.message(1, rev: rev)
                    message.reactions = [reaction]
                    _ = timeline.apply(timeline.known(message, isFetched: true))
                }
            }
            #expect(timeline.messages[0].reactions.first?.isMine == expected, "case \(index)")
        }
    }

    @Test("what is known of own reactions is bounded")
    func bounds() {
        var timeline = self.loaded(1)
        for id in 1...3000 { _ = timeline.reacted(to: id, "a", isOn: true, rev: id) }
        // That of the first message is forgotten.
        _ = timeline.change(self.reactions(1, rev: 9000, ["a": Self.many]))
        #expect(timeline.messages[0].reactions.map(\.isMine) == [false])
        for id in 2...3000 { _ = timeline.change(self.reactions(id, rev: id, ["a": ["x"]])) }
        #expect(timeline.changes.count == Timeline.earlyLimit)
    }

    @Test("the first message of a thread counts its replies")
    func threads() {
        var timeline = self.loaded(1)
        for id in [2, 3, 3] {
            _ = timeline.receive(self.message(id, replyTo: 1), at: self.now)
        }
        _ = timeline.receive(self.message(4, replyTo: 3, thread: 1), at: self.now)
        _ = timeline.change(self.edited(1, "new", rev: 50))
        #expect(timeline.messages[0].replies == 3)
        #expect(timeline.messages[0].lastReplyID == 4)
        var counted = self.message(1)
        counted.replies = 3
        counted.lastReplyID = 3
        var other = Timeline()
        other.connectionOpened(replays: true, at: self.now)
        _ = other.joined(.newest([counted, self.message(2)], rev: 2), at: self.now)
        _ = other.receive(self.message(3, replyTo: 1), at: self.now)
        _ = other.receive(self.message(4, replyTo: 1), at: self.now)
        #expect(other.messages[0].replies == 4)
    }

    @Test("a reply shows the present text of the message to which it replies")
    func excerpts() {
        var timeline = self.loaded(1)
        _ = timeline.change(self.edited(1, String(repeating: "x", count: 200), rev: 40))
        _ = timeline.receive(self.message(2, replyTo: 1), at: self.now)
        #expect(timeline.messages[1].replyExcerpt?.text == String(repeating: "x", count: 120))
        _ = timeline.change(self.edited(1, "short", rev: 50))
        #expect(timeline.messages[1].replyExcerpt?.text == "short")
        _ = timeline.change(self.deleted(1, rev: 51))
        #expect(timeline.messages[1].replyExcerpt == nil)
        #expect(timeline.unquoted == [])
    }

    @Test("a message that is not loaded is fetched for the replies to it, and follows its changes")
    func quoted() {
        var timeline = Timeline(windowCount: 1)
        timeline.connectionOpened(replays: true, at: self.now)
        _ = timeline.joined(.newest([self.message(9)], rev: 9), at: self.now)
        _ = timeline.receive(self.message(10, replyTo: 3), at: self.now)
        _ = timeline.receive(self.message(11, replyTo: 3), at: self.now)
        #expect(timeline.unquoted == [3])
        #expect(self.text(timeline.quote(3, from: [self.message(3)])) == ["10=10", "11=11"])
        #expect(timeline.unquoted == [])
        _ = timeline.change(self.edited(3, "new", rev: 50))
        #expect(timeline.messages.map(\.replyExcerpt?.text) == [nil, "new", "new"])
        _ = timeline.receive(self.message(12, replyTo: 4), at: self.now)
        #expect(timeline.quote(4, from: [self.message(2)]) == [])
        #expect(timeline.unquoted == [])
    }

    @Test("changes of messages that are not loaded are reported once")
    func unloaded() {
        var timeline = Timeline(windowCount: 1)
        timeline.connectionOpened(replays: true, at: self.now)
        _ = timeline.joined(.newest([self.message(9)], rev: 9), at: self.now)
        let changes = [
            self.edited(3, "new", rev: 20), self.reactions(3, rev: 20, ["a": ["x"]]),
            self.pinned(3, rev: 20),
        ]
        let events = changes.flatMap { self.text(timeline.change($0)) }
        #expect(events == ["3=new", "3 pinned by dan"])
        #expect(changes.flatMap { timeline.change($0) } == [])
        #expect(self.text(timeline.change(self.deleted(4, rev: 21))) == ["-4"])
    }

    @Test("a fetched message does not hide newer events")
    func latest() {
        var timeline = self.loaded(1)
        _ = timeline.change(self.reactions(1, rev: 9, ["a": ["x"]]))
        var page = self.message(1, rev: 8)
        page.reactions = [MessageReaction("b", count: 1, users: ["x"])]
        #expect(timeline.latest(page).reactions.map(\.emoji) == ["a"])
        page.rev = 10
        #expect(timeline.latest(page).reactions.map(\.emoji) == ["b"])
        #expect(timeline.latest(self.message(9, replyTo: 1)).replyExcerpt?.text == "1")
    }
}
