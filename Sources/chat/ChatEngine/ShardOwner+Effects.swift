import Bytes
import ChatCore
import ChatModel

/// Execution of the effects that conversations request.
extension ShardOwner {
    mutating func takeEffectBuffer() -> [ConversationEffect] {
        var effects: [ConversationEffect] = []
        swap(&effects, &self.effects)
        return effects
    }

    /// Calls a conversation and executes the effects that it requests.
    mutating func update(
        _ number: UInt32, at now: ClockReading, output: inout LoopOutput,
        _ body: (inout Conversation, inout [ConversationEffect]) -> Void
    ) {
        var effects = self.takeEffectBuffer()
        body(&self.slots[number].conversation, &effects)
        self.run(&effects, of: number, at: now, output: &output)
    }

    mutating func run(
        _ effects: inout [ConversationEffect], of number: UInt32, at now: ClockReading,
        output: inout LoopOutput
    ) {
        var next = 0
        // An effect can cause others, such as a load that is not possible now.
        while next < effects.count {
            // Moves the effect out. A copy would retain every text in it.
            let effect = exchange(&effects[next], with: .loadRecents)
            next += 1
            switch consume effect {
            case .write(let change, let revision, let origin):
                if case .message(let message) = change {
                    output.trace.record(
                        .sequenced, in: self.slots[number].key.hash, sequence: message.sequence,
                        request: origin?.request ?? 0, peer: origin?.loop.incarnation ?? 0,
                        loop: origin?.loop.loop ?? 0)
                }
                self.batch.append(
                    Write(
                        conversation: self.slots[number].key, shard: Int(self.slots[number].shard),
                        epoch: self.slots[number].epoch,
                        revision: revision,
                        change: change))
                self.writeContexts.append(
                    WriteContext(continuation: self.continuation(for: number), origin: origin))
            case .answer(let answer, let origin):
                if origin.request != 0 {
                    output.send(.answer(origin.request, answer, slot: number), to: origin.loop)
                }
            case .event(let event, let revision, let origin):
                self.publish(event, revision, origin, of: number, output: &output)
            case .notify(let event, let loops):
                self.notify(loops, of: event, in: number, output: &output)
            case .mention(let users, let message):
                let tenant = self.slots[number].key.tenant
                let body = message.mentionNotice(in: self.slots[number].key)
                self.inboxPosts += users.map { (.inbox(of: $0, in: tenant), body) }
            case .lookUp(let sequence, let isThread):
                let key = self.slots[number].key
                let ticket = output.submit(
                    isThread
                        ? .thread(key, root: sequence, .newest, limit: 1)
                        : .page(key, .after(sequence - 1), limit: 1))
                self.pendingRequests[ticket] = .lookUp(self.continuation(for: number), sequence)
            case .load:
                self.loadOrAbandon(number, at: now, into: &effects, output: &output)
            case .loadRecents:
                let ticket = output.submit(
                    .recent(self.slots[number].key, limit: self.limits.recentMessages))
                self.pendingRequests[ticket] = .loadRecents(self.continuation(for: number))
            case .readHistory(let sequence, let limit):
                let ticket = output.submit(
                    .page(
                        self.slots[number].key, .after(sequence),
                        limit: PageLimit(messages: limit)))
                self.pendingRequests[ticket] = .readHistory(self.continuation(for: number))
            case .queryHolders:
                self.queryHolders(of: self.slots[number].key, output: &output)
            case .recovered(let changes):
                self.recoveryCounts += changes
            case .invalidate:
                self.invalidate(number, at: now, into: &effects, output: &output)
            case .requestReattach:
                let subscribers = self.slots[number].conversation.subscribers
                for feedSlot in 0..<subscribers.count {
                    output.send(.reattach(self.slots[number].key), to: subscribers[feedSlot].loop)
                }
            case .wake(let time):
                self.timers.schedule(number, at: time)
            }
        }
        effects.clear(keepingCapacityUpTo: .max)
        // The array is reused, so that a message allocates none.
        self.effects = effects
    }

    private mutating func notify(
        _ loops: LoopSet, of event: ChatEvent, in number: UInt32, output: inout LoopOutput
    ) {
        loops.forEach { loop in
            let feedSlot = self.slots[number].conversation.subscribers.feedSlot(of: loop) ?? .max
            let notification = Envelope.Item.event(
                .init(
                    conversation: self.slots[number].key, event: event, revision: 0, answering: 0,
                    feedSlot: feedSlot))
            // A status update may wait like the report that caused it. Sent on its own, it would
            // cost one packet per message.
            if event.isDeliveredStatus {
                output.sendDeferred(notification, to: loop)
            } else {
                output.send(notification, to: loop)
            }
        }
    }

    private mutating func loadOrAbandon(
        _ number: UInt32, at now: ClockReading, into effects: inout [ConversationEffect],
        output: inout LoopOutput
    ) {
        // After a failed write, the load waits. Otherwise the writes that the store lost would be
        // repeated at once.
        let mustWait =
            now.monotonic < self.writesUnavailableUntil
            && self.slots[number].conversation.hasFailedWrites
        if now.monotonic < self.readsUnavailableUntil || mustWait {
            self.slots[number].loadTerm &+= 1
            self.slots[number].conversation.abandon(
                because: self.unavailability, at: now, into: &effects)
        } else {
            self.load(number, output: &output)
        }
    }
}

extension ChatEvent {
    /// Whether it reports that sockets accepted a message; no client waits for that.
    fileprivate var isDeliveredStatus: Bool {
        if case .status(_, .delivered, _, _) = self { true } else { false }
    }
}

extension Message {
    /// The post to the inbox of a mentioned user: a notice from before the message, as all posts to
    /// users' inboxes are notices. The id is the same for every attempt to post it.
    fileprivate func mentionNotice(in conversation: ConversationKey) -> MessageBody {
        let id = ClientMessageID(
            mintedFrom: StableHash.of(conversation.tenant, conversation.id),
            count: UInt64(self.sequence))
        let position = InboxNotice.Position(
            head: self.sequence - 1, revision: self.revision - 1)
        return InboxNotice(conversation.id, from: position).body(by: self.body.author, id: id)
    }
}
