import Bytes
import ChatCore
import ChatEngine
import ChatModel
import EngineTransport
import EventLoop

/// Receives messages from other loops, the cluster, operators and the store.
extension LoopState {
    mutating func receiveMessages() {
        self.beginTurn()
        self.bridge.receiveStoreReplies()
        self.receiveControlMessages()
        var messages: [InterLoopMessage] = []
        swap(&messages, &self.loopMessages)
        self.context.shared.mailboxes[self.context.index].drain(into: &messages)
        for item in messages {
            switch item {
            case .envelope(let envelope): self.bridge.chat.receive(envelope, at: self.context.now)
            case .adopt(let handoff): self.adopt(handoff)
            case .adoptRequest(let handoff): self.adoptRequest(handoff)
            }
        }
        // Removes the messages, so that the retained buffer keeps none of them alive.
        messages.clear(keepingCapacityUpTo: 1024)
        swap(&messages, &self.loopMessages)
    }

    private mutating func receiveControlMessages() {
        var messages: [LoopControlMessage] = []
        swap(&messages, &self.controlMessages)
        self.context.shared.controlMailboxes[self.context.index].drain(into: &messages)
        for message in messages {
            switch message {
            case .follow(let view): self.bridge.chat.follow(view, at: self.context.now)
            case .messagesLost: self.bridge.chat.messagesMayBeLost(at: self.context.now)
            case .compareWithStore: self.bridge.chat.storeMayHaveLostData(at: self.context.now)
            case .rejoin(let incarnation, let view):
                self.engineIO?.server.rejoin(as: incarnation)
                self.bridge.chat.rejoin(
                    as: LoopID(incarnation: incarnation, loop: UInt16(self.context.index)),
                    view: view,
                    at: self.context.now)
            case .evictionChanged(let isEvicted):
                isEvicted ? self.sendClientsElsewhere() : self.keepClients()
            case .report(let reply):
                reply(self.statistics.report(self.context, self.pool, self.bridge))
            case .shards(let reply):
                reply(self.bridge.chat.ownedShards.map(self.bridge.store.shardRates.report))
            case .inspect(let read): read(self)
            case .storedPosition(let key, let reply):
                reply(self.bridge.chat.storedPosition(of: key))
            case .command(let command, let key, let reply):
                self.bridge.submitOperatorCommand(command, in: key, reply: reply)
            case .traceSteps(let messages, let reply):
                reply(self.bridge.tracedSteps(of: messages))
            case .traceMessages(let query, let reply):
                reply(self.bridge.tracedMessages(query))
            case .claim(let key, let reply): reply(self.bridge.chat.claim(of: key))
            case .reload(let key): self.bridge.chat.reload(key, at: self.context.now)
            case .read(let request, let reply):
                self.context.store.submit(
                    request, ticket: 0,
                    for: StoreReplyHandler(self.context.shared.storeErrors, reply))
            case .enforceBans(let reply): reply(self.bridge.enforceBans())
            case .disconnect(let target, let reply): reply(self.bridge.disconnect(target))
            case .nodeMessage(let text, let node):
                self.receiveNodeMessage(text, from: node)
            case .attachSocket(let socket, let handoff): self.attachSocket(socket, handoff)
            case .respond(let token, let result, let responseContext):
                self.http.finishAsyncResponse(to: token, result, responseContext)
            }
        }
        swap(&messages, &self.controlMessages)
    }
}
