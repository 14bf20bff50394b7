import Foundation
import SeededRandom
import Synchronization
import TestKit

/// A client that harms others as far as the limits of the nodes let it: a thread that does one act
/// after the other, in random order, through all nodes.
///
/// What the nodes answer does not matter, and a refused connection is expected. The members of the
/// conversations must notice nothing but time, which `Journal.answerTimes` measures.
final class HostileClient {
    private let acts: [HostileAct]
    private let conversations: [String]
    private let context: TortureContext
    private var random: SeededGenerator

    private init(
        _ acts: [HostileAct], in conversations: [String], seed: UInt64, context: TortureContext
    ) {
        self.acts = acts
        self.conversations = conversations
        self.random = SeededGenerator(seed: seed)
        self.context = context
    }

    /// Starts the thread. It ends with the running phase.
    static func start(
        _ acts: [HostileAct], in conversations: [String], seed: UInt64, context: TortureContext
    ) {
        let client = HostileClient(acts, in: conversations, seed: seed, context: context)
        nonisolated(unsafe) let started = client
        Thread.detachNewThread { started.run() }
    }

    private func run() {
        var acts = self.acts
        while self.context.phase == .running {
            acts.shuffle(using: &self.random)
            for act in acts where self.context.phase == .running { self.perform(act) }
        }
    }

    private func perform(_ act: HostileAct) {
        let ports = self.context.clientPorts.withLock { $0 }
        guard let port = self.random.pick(ports.keys.sorted()).flatMap({ ports[$0] }),
            let conversation = self.random.pick(self.conversations)
        else {
            usleep(100_000)
            return
        }
        self.context.journal.count { $0.hostileActs[act, default: 0] += 1 }
        do {
            if let gain = try act.perform(at: port, in: conversation) {
                self.context.journal.check { $0.recordViolation("a hostile client \(gain)") }
            }
        } catch {
            // The node has refused the rest.
            self.context.journal.count { $0.refusedActs[act, default: 0] += 1 }
        }
        usleep(50_000)
    }
}
