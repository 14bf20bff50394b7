import Bytes
import ChatModel

/// The reactions to one message that the owner has not stored yet.
///
/// They are stored together, at most once per interval, so that one revision and one event stand
/// for all of them. A change that is stored is published in the same order as every other change,
/// and a client that resumes after it misses nothing.
struct ReactionBatch: Sendable {
    struct ReactionRequest: Sendable {
        let change: ReactionChange
        let principal: Principal
        let origin: RequestOrigin
    }

    /// In the order of their arrival.
    var requests: [ReactionRequest] = []
    /// A lookup or a write of this message's reactions has no answer yet.
    var isInFlight = false
    /// The next write must not begin before this monotonic millisecond.
    var notBefore: Int64 = .min
}

extension Conversation {
    /// Adds a reaction to the message's batch.
    mutating func react(
        to sequence: SequenceNumber, _ emoji: Emoji, isOn: Bool, by principal: Principal,
        from origin: RequestOrigin, at now: ClockReading, into effects: inout [ConversationEffect]
    ) throws(ChatError) {
        let user = principal.person.id
        guard self.lifecycle != .missing else { throw .noSuchConversation }
        guard self.members.memberNumber(of: user) != nil else { throw self.refusalOfNonMember }
        try self.checkAmendable(sequence, by: principal, orElsewhere: true)
        guard !self.areWritesUnavailable else { throw self.unavailability }
        var batch = self.reactionBatches[sequence] ?? ReactionBatch()
        let waitingCount = self.reactionBatches.values.reduce(0) { $0 + $1.requests.count }
        guard waitingCount < ConversationRules.waitingLimit else { throw .unavailable }
        batch.requests.append(
            ReactionBatch.ReactionRequest(
                change: ReactionChange(emoji, by: user, isOn: isOn), principal: principal,
                origin: origin))
        self.reactionBatches[sequence] = batch
        self.lookUpReacted(sequence, at: now, into: &effects)
    }

    /// Begins to store a batch if it is due.
    private mutating func lookUpReacted(
        _ sequence: SequenceNumber, at now: ClockReading, into effects: inout [ConversationEffect]
    ) {
        guard let batch = self.reactionBatches[sequence], !batch.isInFlight else { return }
        if now.monotonic < batch.notBefore {
            self.wake(at: batch.notBefore, into: &effects)
        } else if batch.requests.isEmpty {
            self.reactionBatches[sequence] = nil
        } else {
            self.reactionBatches[sequence]?.isInFlight = true
            self.lookUp(sequence, .react, into: &effects)
        }
    }

    mutating func tickReactions(at now: ClockReading, into effects: inout [ConversationEffect]) {
        // Sorted, so that simulations are reproducible.
        for sequence in self.reactionBatches.keys.sorted() {
            self.lookUpReacted(sequence, at: now, into: &effects)
        }
    }

    /// Applies the batch to the message and writes the result. A request that changes nothing is
    /// answered without a write.
    mutating func writeReactions(
        to stored: Message?, _ sequence: SequenceNumber, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        guard let requests = self.reactionBatches[sequence]?.requests, !requests.isEmpty else {
            return self.finishReactions(to: sequence, at: now, into: &effects)
        }
        self.reactionBatches[sequence]?.requests = []
        let pending = self.newestPendingAmendment(of: sequence)
        let message =
            pending.flatMap { self.pendingChanges[$0].amended } ?? stored ?? self.pinned(sequence)
        var reactions = message?.body.annotations?.reactions ?? Reactions()
        let before = reactions
        var changes: [ReactionChange] = []
        var accepted: [RequestOrigin] = []
        for request in requests {
            do throws(ChatError) {
                try self.check(request, of: message, sequence)
                if !self.completed.contains(request.origin) {
                    try reactions.apply(request.change)
                    changes.append(request.change)
                }
                accepted.append(request.origin)
            } catch {
                effects.append(.answer(.failed(error), to: request.origin))
            }
        }
        if let message, reactions != before {
            self.write(
                message.reacted(with: reactions, revision: self.revision + 1),
                .reacted(changes), from: accepted, at: now, into: &effects)
            return
        }
        for origin in accepted {
            if let pending {
                // The reactions in the answer are not stored yet.
                self.pendingChanges[pending].addRequester(origin)
            } else if let message {
                effects.append(.answer(.amended(message), to: origin))
            }
        }
        self.reactionBatches[sequence]?.isInFlight = false
        self.lookUpReacted(sequence, at: now, into: &effects)
    }

    /// During the lookup the conversation may have ended, and the user may have left.
    private func check(
        _ request: ReactionBatch.ReactionRequest, of message: Message?, _ sequence: SequenceNumber
    ) throws(ChatError) {
        guard self.members.memberNumber(of: request.change.user) != nil else {
            throw self.refusalOfNonMember
        }
        try self.checkAmendable(sequence, by: request.principal)
        guard let message else { throw .noSuchMessage(sequence) }
        guard message.state != .deleted else { throw .messageDeleted(sequence) }
        guard !self.areWritesUnavailable else { throw self.unavailability }
    }

    /// The batch in flight is stored. The next one begins after the interval.
    mutating func finishReactions(
        to sequence: SequenceNumber, at now: ClockReading,
        into effects: inout [ConversationEffect]
    ) {
        guard self.reactionBatches[sequence] != nil else { return }
        self.reactionBatches[sequence]?.isInFlight = false
        self.reactionBatches[sequence]?.notBefore =
            now.monotonic + self.rules.reactionInterval
        self.lookUpReacted(sequence, at: now, into: &effects)
    }

    /// Refuses the batch of a message.
    mutating func refuseReactions(
        to sequence: SequenceNumber, because cause: ChatError,
        into effects: inout [ConversationEffect]
    ) {
        for request in self.reactionBatches.removeValue(forKey: sequence)?.requests ?? [] {
            effects.append(.answer(.failed(cause), to: request.origin))
        }
    }

    /// Refuses all batches, because the stored state is discarded.
    mutating func abandonReactions(
        because cause: ChatError, into effects: inout [ConversationEffect]
    ) {
        for sequence in self.reactionBatches.keys.sorted() {
            self.refuseReactions(to: sequence, because: cause, into: &effects)
        }
    }
}
