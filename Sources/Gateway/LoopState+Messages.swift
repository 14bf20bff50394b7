import Bytes
import ChatCore
import ChatEngine
import ChatModel
import EventLoop
import Telemetry

/// Receives messages from other loops, the cluster, operators and the store.
extension LoopState {
    mutating func receiveMessages() {
        self.beginTurn()
        self.receiveStoreReplies()
        self.receiveControlMessages()
        var messages: [InterLoopMessage] = []
        swap(&messages, &self.loopMessages)
        self.shared.mailboxes[self.index].drain(into: &messages)
        for item in messages {
            switch item {
            case .envelope(let envelope): self.chat.receive(envelope, at: self.now)
            case .adopt(let handoff): self.adopt(handoff)
            case .adoptRequest(let handoff): self.adoptRequest(handoff)
            }
        }
        // Removes the messages, so that the retained buffer keeps none of them alive.
        messages.clear(keepingCapacityUpTo: 1024)
        swap(&messages, &self.loopMessages)
    }

    private mutating func receiveStoreReplies() {
        var replies: [StoreReply] = []
        swap(&replies, &self.storeReplies)
        self.shared.storeReplyMailboxes[self.index].drain(into: &replies)
        self.handleStoreReplies(&replies)
        swap(&replies, &self.storeReplies)
    }

    mutating func handleStoreReplies(_ replies: inout [StoreReply]) {
        // Through the buffer pointer, because the array would return copies.
        replies.withUnsafeBufferPointer { replies in
            for index in replies.indices {
                let ticket = replies[index].ticket
                if replies[index].isForSession {
                    self.handleFetchReply(
                        replies[index].answer, for: RequestContextID(rawValue: ticket.rawValue))
                    continue
                }
                if !self.pendingWrites.isEmpty,
                    let start = self.pendingWrites.removeValue(forKey: ticket)
                {
                    self.recordWriteTime(since: start)
                }
                self.chat.storeAnswered(replies[index].answer, ticket: ticket, at: self.now)
            }
        }
        replies.clear(keepingCapacityUpTo: 1024)
    }

    private mutating func recordWriteTime(since start: Int64) {
        self.counters.storeTimes.record(UInt64(max(0, MonotonicTime.exact.nanoseconds - start)))
    }

    private mutating func receiveControlMessages() {
        var messages: [LoopControlMessage] = []
        swap(&messages, &self.controlMessages)
        self.shared.controlMailboxes[self.index].drain(into: &messages)
        for message in messages {
            switch message {
            case .follow(let view): self.chat.follow(view, at: self.now)
            case .messagesLost: self.chat.messagesMayBeLost(at: self.now)
            case .compareWithStore: self.chat.storeMayHaveLostData(at: self.now)
            case .rejoin(let incarnation, let view):
                self.chat.rejoin(
                    as: LoopID(incarnation: incarnation, loop: UInt16(self.index)), view: view,
                    at: self.now)
            case .report(let reply): reply(self.loopReport)
            case .shards(let reply): reply(self.chat.ownedShards.map(self.shardRates.report))
            case .storedPosition(let key, let reply): reply(self.chat.storedPosition(of: key))
            case .command(let command, let key, let reply):
                self.submitCommand(command, in: key, reply: reply)
            case .read(let request, let reply):
                self.shared.stores[self.index].submit(
                    request, ticket: 0, for: StoreReplyHandler(self.shared.storeErrors, reply))
            case .forwardedMessage(let text, let node):
                self.receiveForwardedMessage(text, from: node)
            case .attachSocket(let socket, let handoff): self.attachSocket(socket, handoff)
            case .respond(let token, let result, let responseContext):
                self.finishAsyncResponse(to: token, result, responseContext)
            }
        }
        swap(&messages, &self.controlMessages)
    }

    /// - Parameter letters: gets the replies that the store gives at once.
    mutating func submitToStore(
        _ request: consuming StoreRequest, _ ticket: StoreTicket, _ notifications: [Envelope],
        into replies: inout [StoreReply]
    ) {
        self.shardRates.recordRequest(request, at: self.now.wall)
        let isWrite = if case .write = request { true } else { false }
        if !notifications.isEmpty, let relay = self.relay, case .write(var batch) = request {
            batch.publications = relay.publications(of: notifications, from: self.index)
            request = .write(batch)
        }
        let start = isWrite ? MonotonicTime.exact.nanoseconds : 0
        let count = replies.count
        self.storeClient.submit(
            request, ticket: ticket, to: self.shared.stores[self.index], into: &replies)
        guard isWrite else { return }
        if replies[count...].contains(where: { $0.ticket == ticket }) {
            self.recordWriteTime(since: start)
        } else {
            self.pendingWrites[ticket] = start
        }
    }

}
