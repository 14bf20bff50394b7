import Testing

@testable import ChatClient

@Suite("The message order")
struct MessageOrderTests {
    private func message(_ id: Int) -> ChatMessage {
        ChatMessage(id: id, sender: "bob", content: "\(id)")
    }

    @Test("delivers live messages after the history, once")
    func queueing() {
        var order = MessageOrder()
        order.connectionOpened(replays: true)
        #expect(order.receive(self.message(3)) == [])
        let entered = order.joined([self.message(2), self.message(3)], isShown: true)
        #expect(entered.messages.map(\.id) == [2, 3])
        #expect(entered.missing == nil)
        #expect(order.receive(self.message(3)) == [])
        #expect(order.receive(self.message(4)).map(\.id) == [4])
    }

    @Test("delivers only live messages without a displayed history")
    func unshown() {
        var order = MessageOrder()
        order.connectionOpened(replays: false)
        #expect(order.receive(self.message(8)) == [])
        #expect(
            order.joined([self.message(7), self.message(8)], isShown: false).messages.map(\.id) == [
                8
            ])
        #expect(order.lastID == 8)
    }

    @Test("delays the answer to a line until earlier messages arrive")
    func answers() {
        var order = MessageOrder()
        _ = order.joined([self.message(1)], isShown: true)
        order.connectionOpened(replays: true)
        #expect(order.receiveAnswer(self.message(4)) == [])
        #expect(order.receiveAnswer(self.message(5)) == [])
        #expect(order.receive(self.message(2)).map(\.id) == [2])
        #expect(order.receive(self.message(3)).map(\.id) == [3, 4, 5])
        #expect(!order.hasEarlyAnswers)
    }

    @Test(
        "delivers the answer to a line before later messages, even with gaps")
    func overtaken() {
        var order = MessageOrder()
        _ = order.joined([self.message(1)], isShown: true)
        #expect(order.receiveAnswer(self.message(4)) == [])
        #expect(order.receive(self.message(6)).map(\.id) == [4, 6])
        #expect(order.receiveAnswer(self.message(9)) == [])
        #expect(order.deliverEarlyAnswers().map(\.id) == [9])
    }

    @Test("does not wait for messages that are no longer available")
    func trimmed() {
        var order = MessageOrder()
        _ = order.joined([self.message(1)], isShown: true)
        order.skip(below: 5)
        #expect(order.receiveAnswer(self.message(5)).map(\.id) == [5])
        order.connectionOpened(replays: false)
        #expect(order.joined([self.message(9)], isShown: true).missing == 6...8)
    }

    @Test("bounds the queue of live messages")
    func queueFull() {
        var order = MessageOrder()
        _ = order.joined([self.message(1)], isShown: true)
        order.connectionOpened(replays: false)
        for id in 0..<MessageOrder.queueLimit {
            #expect(!order.isQueueFull)
            #expect(order.receive(self.message(10 + id)) == [])
        }
        #expect(order.isQueueFull)
    }
}
