import Bytes
import ChatCore
import ChatEngine
import ChatModel
import SeededRandom

/// The final checks of a simulation.
extension Simulation {
    /// No message was sent since the calm began, so earlier losses must have been noticed without
    /// one.
    func checkQuietly() {
        for client in self.clients where client.state == .live {
            self.checker.compareMessages(client, with: self.store.page(of: client.conversation))
        }
    }

    func checkAll() {
        self.log("--- final check")
        self.checkMembership()
        for client in self.clients {
            // A user who is no member and whose token does not list the conversation cannot join. A
            // user who left is disconnected on all devices.
            let mayBeAway =
                !client.mustReturn || !client.isListed
                || self.checker.history(of: client.conversation).hasLostCursors
            self.checker.expect(
                client.state == .live || client.state == .offline && mayBeAway,
                "\(client.name) is \(client.state) after the calm")
            self.checker.expect(
                client.hasFinalAnswer || client.state == .offline,
                "\(client.name) has no answer to its final message")
            guard client.state == .live else { continue }
            let present = Set(
                self.clients.filter { $0.isJoined && $0.conversation == client.conversation }.map(
                    \.person.id))
            self.checker.compareScreen(
                client, with: self.store.page(of: client.conversation), present: present)
            self.checker.compareListedPins(
                client, with: self.store.loaded(client.conversation)?.pins ?? [])
        }
        let dead = Set(self.loops.filter(\.isDead).map(\.id))
        for conversation in self.conversations {
            self.checker.compareAnswers(
                in: conversation, with: self.store.page(of: conversation), dead: dead)
            self.checker.compareAnnotations(
                in: conversation, with: self.store.page(of: conversation),
                pins: self.store.loaded(conversation)?.pins ?? [], hasDeadLoops: !dead.isEmpty)
        }
        for loop in self.loops where !loop.isDead {
            let unanswered = loop.requests.values.filter { !$0.isCancelled }.map {
                "\(self.clients[$0.client].name): \($0.kind)"
            }
            self.checker.expect(
                unanswered.isEmpty,
                "loop \(loop.id) has unanswered requests after the calm: \(unanswered.sorted())")
            self.checker.expect(
                loop.chat.counts.pending == 0,
                "loop \(loop.id) still has \(loop.chat.counts.pending) pending requests")
        }
    }

    /// After all clients have disconnected, nothing may be retained.
    func checkNothingRetained() {
        for loop in self.loops where !loop.isDead {
            self.checker.expect(
                loop.chat.counts.subscribed == 0,
                "loop \(loop.id) has \(loop.chat.counts.subscribed) feeds without subscribers")
            self.checker.expect(
                loop.chat.counts.pending == 0,
                "loop \(loop.id) has pending requests without clients")
            if self.parameters.limits.idleTimeout <= .seconds(5) {
                self.checker.expect(
                    loop.chat.counts.owned == 0,
                    "loop \(loop.id) has \(loop.chat.counts.owned) unused conversations"
                )
            }
        }
    }
}
