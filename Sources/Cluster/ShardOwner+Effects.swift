import Bytes
import ChatCore
import ChatModel

/// What conversations want done.
extension ShardOwner {
    mutating func takeEffectBuffer() -> [ConversationEffect] {
        var effects: [ConversationEffect] = []
        swap(&effects, &self.effects)
        return effects
    }

    /// Has a conversation do something, and does what it wants done.
    mutating func update(
        _ number: UInt32, at now: ClockReading, outbox: inout Outbox,
        _ body: (inout Conversation, inout [ConversationEffect]) -> Void
    ) {
        var effects = self.takeEffectBuffer()
        body(&self.slots[Int(number)].conversation, &effects)
        self.run(&effects, of: number, at: now, outbox: &outbox)
    }

    mutating func run(
        _ effects: inout [ConversationEffect], of number: UInt32, at now: ClockReading,
        outbox: inout Outbox
    ) {
        let slot = Int(number)
        var next = 0
        // One effect may bring others: a load that cannot be asked for.
        while next < effects.count {
            // Moved out: a copy would count a reference for every text in it.
            let effect = exchange(&effects[next], with: .loadRecents)
            next += 1
            switch consume effect {
            case .write(let change, let revision, let asked):
                self.batch.append(
                    Write(
                        conversation: self.slots[slot].key, shard: Int(self.slots[slot].shard),
                        epoch: self.slots[slot].epoch,
                        revision: revision,
                        change: change))
                self.writeContexts.append(
                    WriteContext(continuation: self.continuation(for: number), origin: asked))
            case .answer(let answer, let origin):
                if origin.request != 0 {
                    outbox.send(.answer(origin.request, answer, slot: number), to: origin.loop)
                }
            case .event(let event, let revision, let asked):
                self.publish(event, revision, asked, of: number, outbox: &outbox)
            case .notify(let event, let loops):
                let key = self.slots[slot].key
                loops.forEach { loop in
                    let place = self.slots[slot].conversation.subscribers.feedSlot(of: loop) ?? .max
                    let news = Envelope.Item.event(
                        .init(
                            conversation: key, event: event, revision: 0, answering: 0,
                            feedSlot: place))
                    // What the report of it waited for, it may wait for too: by itself each message would have a parcel more.
                    if event.isDeliveredStatus {
                        outbox.sendDeferred(news, to: loop)
                    } else {
                        outbox.send(news, to: loop)
                    }
                }
            case .lookUp(let sequence, let search):
                let ticket = outbox.submit(
                    .page(self.slots[slot].key, .after(sequence - 1), limit: 1))
                self.pendingRequests[ticket] = .lookUp(
                    self.continuation(for: number), sequence, search)
            case .load:
                // A store that has just failed a write is looked at a little later: what it has lost would be written again at once.
                let waits =
                    now.monotonic < self.writesUnavailableUntil
                    && self.slots[slot].conversation.hasFailedWrites
                if now.monotonic < self.readsUnavailableUntil || waits {
                    self.slots[slot].loadTerm &+= 1
                    self.slots[slot].conversation.abandon(at: now, into: &effects)
                } else {
                    self.load(number, outbox: &outbox)
                }
            case .loadRecents:
                let ticket = outbox.submit(
                    .recent(self.slots[slot].key, limit: self.limits.recentMessages))
                self.pendingRequests[ticket] = .loadRecents(self.continuation(for: number))
            case .readHistory(let sequence, let limit):
                let ticket = outbox.submit(
                    .page(self.slots[slot].key, .after(sequence), limit: limit))
                self.pendingRequests[ticket] = .readHistory(self.continuation(for: number))
            case .queryHolders:
                self.queryHolders(of: self.slots[slot].key, outbox: &outbox)
            case .recovered(let changes):
                self.recoveryCounts += changes
            case .invalidate:
                self.slots[slot].loadTerm &+= 1
                self.slots[slot].conversation.abandon(at: now, into: &effects)
                self.slots[slot].conversation.reload(into: &effects)
            case .requestReattach:
                let listeners = self.slots[slot].conversation.subscribers
                for place in 0..<listeners.count {
                    outbox.send(.reattach(self.slots[slot].key), to: listeners[place].loop)
                }
            case .wake(let time):
                self.timers.insert(
                    .init(time: time, slot: number, generation: self.slots[slot].generation))
            }
        }
        effects.clear(keepingCapacityUpTo: .max)
        // The room is used again, so that a message allocates none.
        self.effects = effects
    }
}

extension ChatEvent {
    /// That a message has been taken by somebody's sockets, which nobody waits for.
    fileprivate var isDeliveredStatus: Bool {
        if case .status(_, .delivered, _, _) = self { true } else { false }
    }
}
