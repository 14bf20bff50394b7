import Bytes
public import ChatModel

/// Answers of the store, and its failures.
extension Conversation {
    /// The conversation as the store has it; nil if it does not exist.
    public mutating func loaded(
        _ loaded: LoadedConversation?, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        guard case .loading(let holdersDeadline) = self.phase else { return }
        let previousRevision = self.storedRevision
        // A conversation that the store lost entirely is created again as it was.
        let isLost = self.rules.recovery.isEnabled && self.published.revision > 0
        self.record = loaded?.record ?? (isLost ? self.record : nil)
        if let record = self.record { self.updatedAt = record.updatedAt }
        self.members.reload(loaded?.members ?? [])
        self.head = loaded?.head ?? 0
        self.storedHead = self.head
        self.revision = loaded?.revision ?? 0
        self.storedRevision = self.revision
        self.loadedOldest = loaded?.oldest ?? 1
        self.lastMessage = nil
        self.pins = loaded?.pins ?? []
        self.threadRoots = ThreadRoots(after: self.head)
        self.hasFailedWrites = false
        self.discardUnacknowledged()
        self.recents = RecentMessages(
            next: self.head + 1, limit: self.rules.limits.recentMessages)
        if self.presence.startedAt == 0 { self.presence.startedAt = now.monotonic }
        // Changes were stored that the subscribers have not received.
        if self.storedRevision > previousRevision, !self.subscribers.isEmpty {
            effects.append(.requestReattach)
        }
        guard self.mustReconcile(at: now) else {
            self.retained = []
            return self.serve(at: now, into: &effects)
        }
        self.execute(
            self.recovery(holdersDeadline, at: now).verdict(), holdersDeadline, at: now,
            into: &effects)
    }

    /// Everything but the recent messages is loaded, and the store has every retained change.
    mutating func serve(at now: ClockReading, into effects: inout [ConversationEffect]) {
        self.published = PublishedThrough(revision: self.storedRevision, head: self.storedHead)
        self.phase = self.head == 0 ? .complete : .withoutRecents
        self.resumeWaiting(at: now, into: &effects)
    }

    /// The newest messages in the store.
    public mutating func loadedRecents(
        _ messages: [RecentMessage], at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        guard case .loadingRecents = self.phase else { return }
        // The store has changed since the conversation was loaded. The number of reloads is
        // limited, because the store may have lost only the messages.
        if !self.areNewest(messages), self.rules.recovery.isEnabled,
            self.staleReads < ConversationRules.staleReadLimit
        {
            self.staleReads += 1
            effects.append(.invalidate)
            return
        }
        self.staleReads = 0
        self.fillRecents(messages, at: now)
        self.phase = .complete
        self.resumeWaiting(at: now, into: &effects)
    }

    /// A change has been stored: answers and events leave.
    public mutating func stored(
        _ change: Write.Change, revision: Revision, origin: RequestOrigin?,
        at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        guard revision != 0 else {
            if case .cursors(let user, let read, let delivered) = change {
                self.cursorsStored(
                    of: user, read: read, delivered: delivered, at: now, into: &effects)
            }
            return
        }
        self.storedRevision = revision
        self.published.record(revision)
        self.retainStored(change, revision, at: now)
        self.recordActivity(of: change)
        if case .message(let message) = change {
            self.storedHead = message.sequence
            self.published.record(revision, head: message.sequence)
            if let event = Self.event(of: change) {
                effects.append(.event(event, revision: revision, origin: origin))
                self.announceMentions(in: message, into: &effects)
            }
            if !self.repeatedSends.isEmpty {
                self.answerRepeatedSends(of: message, at: now, into: &effects)
            }
        } else if let first = self.pendingChanges.first, first.revision == revision {
            self.pendingChanges.removeFirst()
            self.announce(first, at: now, into: &effects)
        }
        if case .rewriting(let rewriting) = self.phase, revision >= rewriting.through {
            self.finish(rewriting, at: now, into: &effects)
        }
    }

    /// Counts the same changes as activity that the stores count, and keeps the newest message.
    private mutating func recordActivity(of change: Write.Change) {
        switch change {
        case .message(let message):
            self.updatedAt = message.sentAt
            self.lastMessage = message
        case .amend(let message, _, let time):
            if let time { self.updatedAt = time }
            if message.sequence == self.lastMessage?.sequence { self.lastMessage = message }
        case .end(let time): self.updatedAt = time
        case .create(let record): self.updatedAt = record.updatedAt
        case .member, .remove, .update, .cursors, .skip: break
        }
    }

    /// The event of a stored change, if the change alone determines it. That holds for messages,
    /// which are nearly all changes.
    public static func event(of change: Write.Change) -> ChatEvent? {
        // A lost message was replaced by an empty one: every subscriber that will ever see this
        // message has already received it.
        guard case .message(let message) = change, message.state != .deleted else { return nil }
        return .posted(message)
    }

    /// Discards the stored state after the store has refused a change or was unavailable.
    /// Requesters may retry. Subscribers and presence stay.
    ///
    /// - Parameters:
    ///   - cause: the error for waiting requests, which have changed nothing. Attaching loops
    ///     always retry, because the store may have recovered meanwhile.
    ///   - written: the error for changes that were sent to the store.
    public mutating func abandon(
        because cause: ChatError = .unavailable, written: ChatError = .outcomeUnknown,
        at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        // Some of the changes may be stored.
        if case .rewriting(let rewriting) = self.phase, rewriting.mustReattach {
            effects.append(.requestReattach)
        }
        self.phase = .unloaded
        // The answers to writes before this are dropped.
        self.cursorWritesInFlight = 0
        self.subscribers.resetSendOrder()
        self.abandonLookups(because: cause, into: &effects)
        self.abandonReactions(because: cause, into: &effects)
        for change in self.pendingChanges {
            for requester in change.requesters + change.creationRequesters {
                effects.append(.answer(.failed(written), to: requester))
            }
        }
        self.pendingChanges = []
        self.failReads(because: cause, into: &effects)
        for repeated in self.repeatedSends {
            effects.append(.answer(.failed(written), to: repeated.origin))
        }
        self.repeatedSends = []
        self.revision = self.storedRevision
        let waiting = self.waitingInputs
        self.waitingInputs = []
        for input in waiting {
            switch input.input {
            case .command: effects.append(.answer(.failed(cause), to: input.origin))
            case .attach: effects.append(.answer(.failed(.unavailable), to: input.origin))
            case .unsubscribe, .detach:
                self.handle(input.input, from: input.origin, at: now, into: &effects)
            case .delivered, .offerRetained:
                self.waitingInputs.append(WaitingInput(input: input.input, origin: input.origin))
            }
        }
        if !self.waitingInputs.isEmpty || self.hasFailedWrites {
            self.wake(at: now.monotonic + ConversationRules.cursorRetryDelay, into: &effects)
        }
    }

    /// A write has failed. The conversation is loaded again as soon as possible: the store may have
    /// the write after all, and then the subscribers must receive it.
    public mutating func writeFailed(
        because written: ChatError, at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        self.hasFailedWrites = true
        let isFinal = written == .damaged || written == .rejected
        self.abandon(
            because: isFinal ? written : .unavailable, written: written, at: now, into: &effects)
    }

    /// Another loop owns the conversation or is about to. Typing states of this owner are revoked,
    /// and the subscribed loops attach to the new owner.
    public mutating func close(at now: ClockReading, into effects: inout [ConversationEffect]) {
        self.abandon(at: now, into: &effects)
        for typist in self.typingUsers {
            effects.append(.event(.typing(typist.person, false), revision: 0, origin: nil))
        }
        self.typingUsers = []
        effects.append(.requestReattach)
    }

    /// Discards the recent messages until they are needed. They are most of the memory of an idle
    /// conversation.
    public mutating func trim() {
        guard case .complete = self.phase, !self.hasWritesInFlight,
            self.dirtyCursors.isEmpty, self.unstoredReads.isEmpty,
            self.recents.range.count > 64
        else { return }
        self.recents = RecentMessages(
            next: self.head + 1, limit: self.rules.limits.recentMessages)
        self.threadRoots = ThreadRoots(after: self.head)
        self.completed = CompletedRequests()
        self.phase = .withoutRecents
    }
}
