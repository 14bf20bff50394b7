import Bytes
import ChatEngine
import ChatModel
import SeededRandom

/// What users do to each other's messages: they react, pin, reply and mention.
extension Simulation {
    private static let emoji = ["👍", "❤", ":tada:"].map { Emoji(given: $0)! }

    /// A message on the client's screen, mostly a recent one; sometimes one that it cannot know.
    private func pickMessage(for client: SimulatedClient) -> SequenceNumber? {
        if self.random.happens(perMille: 50) {
            return self.random.number(0...(client.screen.through + 2))
        }
        return self.random.pick(Array(client.screen.messages.keys.sorted().suffix(12)))
    }

    func react(_ client: SimulatedClient) {
        guard let sequence = self.pickMessage(for: client) else { return }
        let emoji = self.random.pick(Self.emoji)!
        let isOn = self.random.happens(perMille: 650)
        self.submit(
            .react(sequence, emoji, isOn: isOn, by: client.actor), by: client,
            .annotation(
                self.checker.requested(
                    .reaction(client.person.id, emoji), isOn: isOn, of: sequence,
                    in: client.conversation, at: self.now)))
    }

    func pin(_ client: SimulatedClient) {
        guard let sequence = self.pickMessage(for: client) else { return }
        let isOn = self.random.happens(perMille: 600)
        self.submit(
            isOn ? .pin(sequence, by: client.actor) : .unpin(sequence, by: client.actor),
            by: client,
            .annotation(
                self.checker.requested(
                    .pin, isOn: isOn, of: sequence, in: client.conversation, at: self.now)))
    }

    func requestPins(_ client: SimulatedClient) {
        self.submit(.pins(by: client.actor), by: client, .pins)
    }

    /// The reply and the mentions of the client's next message.
    func makeAnnotations(for client: SimulatedClient) -> MessageAnnotations? {
        var reply: Reply?
        var mentions: Mentions?
        if self.random.happens(perMille: 200) {
            // No later message: the retry of a send that was refused could be accepted then, after
            // later sends.
            reply = self.pickMessage(for: client).map {
                Reply(to: min($0, client.screen.through))
            }
        }
        if self.random.happens(perMille: 100) {
            mentions = Mentions(
                includesEveryone: self.random.happens(perMille: 200),
                users: (0..<self.random.number(0...2)).map { _ in
                    self.random.pick(self.clients)!.person.id
                })
        }
        return MessageAnnotations(reply: reply, mentions: mentions)
    }

    func receivePins(_ messages: [Message], by client: SimulatedClient) {
        for message in messages {
            self.checker.checkPinned(message, listedFor: client)
        }
        client.listedPins = messages
    }
}
