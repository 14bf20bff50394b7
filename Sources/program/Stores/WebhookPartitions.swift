import ChatEngine
import ChatModel
import Cluster
import Synchronization
import Webhooks

/// Passes everything on to the node's loops, and tells its webhooks which shards it owns.
final class WebhookPartitions: RelayReceiver {
    private let receiver: any RelayReceiver
    private let webhooks: WebhookService
    private let owner: Mutex<UInt64>

    init(_ receiver: any RelayReceiver, _ webhooks: WebhookService, incarnation: UInt64) {
        self.receiver = receiver
        self.webhooks = webhooks
        self.owner = Mutex(incarnation)
    }

    private func own(in view: View, as incarnation: UInt64) {
        self.webhooks.own(
            (0..<Shard.count).filter { view.owner(of: $0).incarnation == incarnation })
    }

    func follow(_ view: View) {
        self.receiver.follow(view)
        self.own(in: view, as: self.owner.withLock { $0 })
    }

    func rejoin(as incarnation: UInt64, in view: View) {
        self.receiver.rejoin(as: incarnation, in: view)
        self.owner.withLock { $0 = incarnation }
        self.own(in: view, as: incarnation)
    }

    func receive(_ envelope: Envelope) { self.receiver.receive(envelope) }

    func receive(_ message: RemoteLoopMessage, from node: UInt64) {
        self.receiver.receive(message, from: node)
    }

    func evictionChanged(isEvicted: Bool) { self.receiver.evictionChanged(isEvicted: isEvicted) }
    func messagesMayBeLost() { self.receiver.messagesMayBeLost() }
    func storeMayHaveLostData(on loop: Int) { self.receiver.storeMayHaveLostData(on: loop) }
    func linkProblemChanged(_ reason: String?) { self.receiver.linkProblemChanged(reason) }
}
