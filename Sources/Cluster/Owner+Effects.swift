import Bytes
import ChatCore
import ChatModel

/// What conversations want done.
extension Owner {
    mutating func takeEffects() -> [ConversationEffect] {
        var effects: [ConversationEffect] = []
        swap(&effects, &self.effects)
        return effects
    }

    /// Has a conversation do something, and does what it wants done.
    mutating func update(
        _ number: UInt32, at now: Moment, outbox: inout Outbox, _ body: (inout Conversation, inout [ConversationEffect]) -> Void
    ) {
        var effects = self.takeEffects()
        body(&self.slots[Int(number)].conversation, &effects)
        self.run(&effects, of: number, at: now, outbox: &outbox)
    }

    mutating func run(_ effects: inout [ConversationEffect], of number: UInt32, at now: Moment, outbox: inout Outbox) {
        let slot = Int(number)
        var next = 0
        // One effect may bring others: a load that cannot be asked for.
        while next < effects.count {
            // Moved out: a copy would count a reference for every text in it.
            let effect = exchange(&effects[next], with: .recall)
            next += 1
            switch consume effect {
            case .write(let change, let revision, let asked):
                self.batch.append(
                    Write(
                        conversation: self.slots[slot].key, shard: Int(self.slots[slot].shard), epoch: self.slots[slot].epoch,
                        revision: revision,
                        change: change))
                self.asked.append(Asked(errand: self.errand(number), origin: asked))
            case .answer(let answer, let origin):
                if origin.request != 0 { outbox.send(.answer(origin.request, answer, place: number), to: origin.loop) }
            case .event(let event, let revision, let asked):
                self.announce(event, revision, asked, of: number, outbox: &outbox)
            case .tell(let event, let loops):
                let key = self.slots[slot].key
                loops.forEach { loop in
                    let place = self.slots[slot].conversation.listeners.place(of: loop) ?? .max
                    let news = Envelope.Item.event(.init(conversation: key, event: event, revision: 0, answering: 0, feedPlace: place))
                    // What the report of it waited for, it may wait for too: by itself each message would have a parcel more.
                    if event.isDelivery { outbox.sendAlong(news, to: loop) } else { outbox.send(news, to: loop) }
                }
            case .find(let sequence, let search):
                let ticket = outbox.request(.page(self.slots[slot].key, .after(sequence - 1), limit: 1))
                self.purposes[ticket] = .find(self.errand(number), sequence, search)
            case .load:
                // A store that has just failed a write is looked at a little later: what it has lost would be written again at once.
                let waits = now.monotonic < self.writesAwayUntil && self.slots[slot].conversation.hasFailedWrites
                if now.monotonic < self.readsAwayUntil || waits {
                    self.slots[slot].term &+= 1
                    self.slots[slot].conversation.abandon(at: now, into: &effects)
                } else {
                    self.load(number, outbox: &outbox)
                }
            case .recall:
                let ticket = outbox.request(.recent(self.slots[slot].key, limit: self.limits.recentMessages))
                self.purposes[ticket] = .recall(self.errand(number))
            case .compare(let sequence, let limit):
                let ticket = outbox.request(.page(self.slots[slot].key, .after(sequence), limit: limit))
                self.purposes[ticket] = .compare(self.errand(number))
            case .seekHolders:
                self.seekHolders(of: self.slots[slot].key, outbox: &outbox)
            case .restored(let changes):
                self.restored += changes
            case .mistrust:
                self.slots[slot].term &+= 1
                self.slots[slot].conversation.abandon(at: now, into: &effects)
                self.slots[slot].conversation.reload(into: &effects)
            case .callAgain:
                let listeners = self.slots[slot].conversation.listeners
                for place in 0..<listeners.count { outbox.send(.attachAgain(self.slots[slot].key), to: listeners[place].loop) }
            case .wake(let time):
                self.wakeups.insert(.init(time: time, slot: number, generation: self.slots[slot].generation))
            }
        }
        effects.clear(keepingRoomFor: .max)
        // The room is used again, so that a message allocates none.
        self.effects = effects
    }
}

extension ChatEvent {
    /// That a message has been taken by somebody's sockets, which nobody waits for.
    fileprivate var isDelivery: Bool {
        if case .status(_, .delivered, _, _) = self { true } else { false }
    }
}
