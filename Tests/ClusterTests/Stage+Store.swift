import Bytes
import ChatCore
import ChatModel
import EmbeddedStore

@testable import Cluster

/// What lies in the stage's store, and what others do there.
extension Stage {
    /// Somebody else becomes the owner of the conversation's shard.
    func claimByStranger() {
        _ = self.tables.execute(.claim(shard: Shard.of(self.key), owner: OwnerID(incarnation: 99, loop: 0), view: Stage.view.number))
    }

    /// A message that is in the store without its owner's knowledge.
    func storeBehindTheBack(_ content: String, by person: Person = .bob) {
        let page = self.stored
        let message = Message(
            sequence: page.head + 1, revision: page.revision + 1, sentAt: self.moment.wall, body: .said(content, by: person, id: content))
        let write = Write(
            conversation: self.key, shard: Shard.of(self.key), epoch: 1, revision: message.revision, change: .message(message))
        let answer = self.tables.execute(.write(WriteBatch(owner: .far, writes: [write])))
        guard case .written(.stored) = answer else { preconditionFailure("not stored: \(answer)") }
    }

    var stored: Page {
        guard case .page(let page) = self.tables.execute(.page(self.key, .after(0), limit: .max)) else { preconditionFailure("no page") }
        return page
    }

    var storedWords: [String] { self.stored.messages.map(\.told) }

    var storedMembers: [Member] {
        guard case .loaded(let loaded) = self.tables.execute(.load(self.key)) else { preconditionFailure("no conversation") }
        return loaded?.members ?? []
    }
}
