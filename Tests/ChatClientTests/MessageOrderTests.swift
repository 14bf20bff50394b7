import Testing

@testable import ChatClient

@Suite("Messages")
struct MessageOrderTests {
    private func message(_ id: Int) -> ChatMessage {
        ChatMessage(id: id, sender: "bob", content: "\(id)")
    }

    @Test("wait for the history, and come behind it once")
    func queueing() {
        var order = MessageOrder()
        order.connectionOpened(replays: true)
        #expect(order.receive(self.message(3)) == [])
        let entered = order.joined([self.message(2), self.message(3)], isShown: true)
        #expect(entered.messages.map(\.id) == [2, 3])
        #expect(entered.gone == nil)
        #expect(order.receive(self.message(3)) == [])
        #expect(order.receive(self.message(4)).map(\.id) == [4])
    }

    @Test("of the past are not shown to a program, but those that came live are")
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

    @Test("that answer a line wait for those in front of them")
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
        "that answer a line are shown in front of what is behind them, whatever became of the rest")
    func overtaken() {
        var order = MessageOrder()
        _ = order.joined([self.message(1)], isShown: true)
        #expect(order.receiveAnswer(self.message(4)) == [])
        #expect(order.receive(self.message(6)).map(\.id) == [4, 6])
        #expect(order.receiveAnswer(self.message(9)) == [])
        #expect(order.deliverEarlyAnswers().map(\.id) == [9])
    }

    @Test("that are gone for good are not waited for")
    func trimmed() {
        var order = MessageOrder()
        _ = order.joined([self.message(1)], isShown: true)
        order.skip(below: 5)
        #expect(order.receiveAnswer(self.message(5)).map(\.id) == [5])
        order.connectionOpened(replays: false)
        #expect(order.joined([self.message(9)], isShown: true).gone == 6...8)
    }

    @Test("that wait for what was missed are bounded")
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
