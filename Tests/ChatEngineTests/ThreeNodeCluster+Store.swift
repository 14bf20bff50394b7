import Bytes
import ChatCore
import ChatModel
import Cluster
import EmbeddedStore

@testable import ChatEngine

/// The contents of the cluster's store, and changes by others.
extension ThreeNodeCluster {
    /// Another owner claims the conversation's shard.
    func claimByAnotherOwner() {
        _ = self.tables.execute(
            .claim(
                shard: Shard.of(self.key), owner: LoopID(incarnation: 99, loop: 0),
                view: ThreeNodeCluster.view.number))
    }

    /// Stores a message without the owner's knowledge.
    func storeBehindOwner(_ content: String, by person: Person = .bob) {
        let page = self.stored
        let message = Message(
            sequence: page.head + 1, revision: page.revision + 1, sentAt: self.clock.wall,
            body: .said(content, by: person, id: content))
        let write = Write(
            conversation: self.key, shard: Shard.of(self.key), epoch: 1, revision: message.revision,
            change: .message(message))
        let answer = self.tables.execute(.write(WriteBatch(owner: .far, writes: [write])))
        guard case .written(.stored) = answer else { preconditionFailure("not stored: \(answer)") }
    }

    var stored: MessagePage {
        guard
            case .page(let page) = self.tables.execute(
                .page(self.key, .after(0), limit: PageLimit(messages: .max)))
        else { preconditionFailure("no page") }
        return page
    }

    var storedText: [String] { self.stored.messages.map(\.summary) }

    var storedMembers: [Member] {
        guard case .loaded(let loaded) = self.tables.execute(.load(self.key)) else {
            preconditionFailure("no conversation")
        }
        return loaded?.members ?? []
    }
}
