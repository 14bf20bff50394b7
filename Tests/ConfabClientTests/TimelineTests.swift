import EventLoop
import Testing

@testable import ConfabClient

@Suite("A timeline")
struct TimelineTests {
    private let now = MonotonicTime(nanoseconds: 0)

    private func message(
        _ id: Int, _ text: String? = nil, rev: Int = 0, _ state: MessageState = .sent,
        isEdited: Bool = false
    ) -> ChatMessage {
        var message = ChatMessage(id: id, author: "bob", text: text ?? "\(id)")
        message.rev = rev
        message.state = state
        message.isEdited = isEdited
        return message
    }

    /// A timeline with the messages 1 to `last`.
    private func loaded(_ last: Int) -> Timeline {
        var timeline = Timeline()
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
            case .reset(let reason, let messages, let after):
                "\(reason) \(messages.map(\.id)) after \(after.map(String.init) ?? "nothing")"
            default: "\($0)"
            }
        }
    }

    @Test("delivers live messages after the newest ones, once")
    func opening() {
        var timeline = Timeline()
        timeline.connectionOpened(replays: true, at: self.now)
        #expect(timeline.receive(self.message(3), at: self.now) == [])
        let events = timeline.joined(.newest([self.message(2), self.message(3)]), at: self.now)
        #expect(self.text(events) == ["opened [2] after nothing", "3"])
        #expect(timeline.receive(self.message(3), at: self.now) == [])
        #expect(self.text(timeline.receive(self.message(4), at: self.now)) == ["4"])
        #expect(timeline.messages.map(\.id) == [2, 3, 4])
    }

    @Test("holds a message back until the ones before it arrive, in any order")
    func gaps() {
        for order in [[3, 4, 5], [5, 4, 3], [4, 5, 3], [5, 3, 4]] {
            var timeline = self.loaded(2)
            var delivered: [String] = []
            for id in order {
                delivered += self.text(timeline.receive(self.message(id), at: self.now))
            }
            #expect(delivered == ["3", "4", "5"])
            #expect(!timeline.hasGap(at: self.now.advanced(by: .seconds(9)), for: .seconds(1)))
        }
    }

    @Test("asks for the page that closes a gap, and continues without what the page lacks")
    func filling() {
        var timeline = self.loaded(2)
        _ = timeline.receive(self.message(6), at: self.now)
        let later = self.now.advanced(by: .milliseconds(300))
        #expect(timeline.hasGap(at: later, for: .milliseconds(300)))
        var filled = timeline
        let page = (3...6).map { self.message($0) }
        #expect(self.text(filled.fill(page, at: later)) == ["3", "4", "5", "6"])
        let page2 = [self.message(5), self.message(6)]
        #expect(self.text(timeline.fill(page2, at: later)) == ["truncated [5, 6] after 2"])
        #expect(timeline.lastID == 6)
    }

    @Test("applies changes once, in the order of their revisions")
    func changes() {
        var timeline = self.loaded(3)
        #expect(
            self.text(timeline.change(.edited(self.message(2, "x", rev: 9, isEdited: true)))) == [
                "2=x"
            ])
        // Reactions of the same revision may follow the edit.
        #expect(timeline.rev == 8)
        #expect(timeline.change(.edited(self.message(2, "x", rev: 9, isEdited: true))) == [])
        #expect(timeline.change(.edited(self.message(2, "older", rev: 8, isEdited: true))) == [])
        #expect(
            self.text(timeline.change(.deleted(self.message(2, "", rev: 10, .deleted)))) == ["-2"])
        #expect(timeline.messages.map(\.text) == ["1", "", "3"])
        // A change may arrive before its message.
        #expect(timeline.change(.edited(self.message(4, "new", rev: 12, isEdited: true))) == [])
        #expect(timeline.receive(self.message(4, "old", rev: 11), at: self.now).count == 1)
        #expect(timeline.messages.last?.text == "new")
    }

    @Test("resumes at the newest change in order, and not at that of a page")
    func revision() {
        var timeline = self.loaded(3)
        _ = timeline.receive(self.message(5, rev: 20), at: self.now)
        #expect(timeline.rev == 3)
        _ = timeline.fill([self.message(4, rev: 19), self.message(5, rev: 20)], at: self.now)
        #expect(timeline.lastID == 5)
        #expect(timeline.rev == 3)
        _ = timeline.receive(self.message(6, rev: 21), at: self.now)
        #expect(timeline.rev == 21)
    }

    @Test("accepts the missed messages of a join, and reports those that are gone")
    func missed() {
        var timeline = self.loaded(3)
        timeline.connectionOpened(replays: false, at: self.now)
        #expect(timeline.receive(self.message(6), at: self.now) == [])
        var near = timeline
        let page = [self.message(3, "edited", isEdited: true), self.message(4), self.message(5)]
        #expect(self.text(near.joined(.missed(page), at: self.now)) == ["3=edited", "4", "5", "6"])
        let far = timeline.joined(.missed([self.message(5), self.message(6)]), at: self.now)
        #expect(self.text(far) == ["truncated [5, 6] after 3"])
    }

    @Test("replaces its messages when the server no longer has the ones in between")
    func truncated() {
        var timeline = self.loaded(3)
        timeline.connectionOpened(replays: true, at: self.now)
        #expect(timeline.truncated(from: 8, at: self.now) == [])
        #expect(timeline.receive(self.message(8), at: self.now) == [])
        #expect(timeline.joined(.replaying(head: 9), at: self.now) == [])
        let events = timeline.receive(self.message(9), at: self.now)
        #expect(self.text(events) == ["truncated [8, 9] after 3"])
        #expect(self.text(timeline.receive(self.message(10), at: self.now)) == ["10"])
        #expect(timeline.messages.map(\.id) == [8, 9, 10])
    }

    @Test("ends a replay after five silent seconds if its end is not known")
    func silentReplay() {
        var timeline = self.loaded(3)
        timeline.connectionOpened(replays: true, at: self.now)
        _ = timeline.truncated(from: 8, at: self.now)
        _ = timeline.receive(self.message(8), at: self.now)
        #expect(timeline.tick(at: self.now.advanced(by: .milliseconds(4900))) == [])
        let events = timeline.tick(at: self.now.advanced(by: .seconds(5)))
        #expect(self.text(events) == ["truncated [8] after 3"])
    }

    @Test("starts over when the server has another history")
    func replaced() {
        var timeline = self.loaded(9)
        timeline.connectionOpened(replays: true, at: self.now)
        let mustJoin = timeline.replaced(head: 2)
        #expect(mustJoin)
        let page = [self.message(1, "restored"), self.message(2, "restored")]
        let events = timeline.joined(.newest(page, rev: 4), at: self.now)
        #expect(self.text(events) == ["replaced [1, 2] after 9"])
        #expect(timeline.rev == 4)
        #expect(self.text(timeline.receive(self.message(3), at: self.now)) == ["3"])
    }

    @Test("retains a bounded number of messages, and those of older pages")
    func bounds() {
        var timeline = Timeline(windowCount: 2, keptCount: 3)
        timeline.connectionOpened(replays: true, at: self.now)
        _ = timeline.joined(.newest((1...5).map { self.message($0) }), at: self.now)
        #expect(timeline.messages.map(\.id) == [4, 5])
        timeline.prepend([self.message(2), self.message(3)])
        for id in 6...8 { _ = timeline.receive(self.message(id), at: self.now) }
        #expect(timeline.messages.map(\.id) == [4, 5, 6, 7, 8])
    }

    @Test("bounds the messages that wait for missed ones")
    func queueFull() {
        var timeline = self.loaded(1)
        timeline.connectionOpened(replays: false, at: self.now)
        for id in 0..<Timeline.earlyLimit {
            #expect(!timeline.isFull)
            #expect(timeline.receive(self.message(10 + id), at: self.now) == [])
        }
        #expect(timeline.isFull)
    }
}
