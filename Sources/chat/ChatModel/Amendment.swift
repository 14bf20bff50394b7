/// A change of a stored message, and how it applies to the message's present state.
///
/// The owner applies it once. It applies it again to another history of the conversation, if two
/// Redis masters have accepted writes.
public enum Amendment: Sendable, Equatable {
    case edited(content: String)
    case deleted
    /// In the order in which the users asked.
    case reacted([ReactionChange])
    case pinned(PinState)
}

extension Message {
    /// The message after an amendment; nil if it changes nothing. A deleted message never changes.
    ///
    /// Reactions that exceed a limit are left out.
    public func applying(_ amendment: Amendment, revision: Revision) -> Message? {
        guard self.state != .deleted else { return nil }
        switch amendment {
        case .edited(let content):
            guard self.state != .edited || self.body.content != content else { return nil }
            return self.edited(to: content, revision: revision)
        case .deleted:
            return self.deleted(revision: revision)
        case .reacted(let changes):
            var reactions = self.body.annotations?.reactions ?? Reactions()
            for change in changes { try? reactions.apply(change) }
            guard reactions != self.body.annotations?.reactions ?? Reactions() else { return nil }
            return self.reacted(with: reactions, revision: revision)
        case .pinned(let pin):
            guard pin.isPinned || self.isPinned else { return nil }
            return self.pinned(pin, revision: revision)
        }
    }

    /// The same message with other text.
    public func edited(to content: String, revision: Revision) -> Message {
        self.with(
            .edited, content: content, metadata: self.body.metadata,
            annotations: self.body.annotations, revision: revision)
    }

    /// The same message without its text, mentions, reactions and pin; number, author, time and
    /// thread stay.
    public func deleted(revision: Revision) -> Message {
        self.with(
            .deleted, content: "", metadata: nil,
            annotations: MessageAnnotations(reply: self.body.annotations?.reply, mentions: nil),
            revision: revision)
    }

    /// The same message with these reactions.
    public func reacted(with reactions: Reactions, revision: Revision) -> Message {
        self.with(
            self.state, content: self.body.content, metadata: self.body.metadata,
            annotations: MessageAnnotations(
                reply: self.body.annotations?.reply, mentions: self.body.annotations?.mentions,
                reactions: reactions, pin: self.body.annotations?.pin),
            revision: revision)
    }

    /// The same message, pinned or no longer pinned.
    public func pinned(_ pin: PinState, revision: Revision) -> Message {
        self.with(
            self.state, content: self.body.content, metadata: self.body.metadata,
            annotations: MessageAnnotations(
                reply: self.body.annotations?.reply, mentions: self.body.annotations?.mentions,
                reactions: self.body.annotations?.reactions, pin: pin),
            revision: revision)
    }

    private func with(
        _ state: State, content: String, metadata: [UInt8]?, annotations: MessageAnnotations?,
        revision: Revision
    ) -> Message {
        let body = MessageBody(
            author: self.body.author, clientMessageID: self.body.clientMessageID, content: content,
            metadata: metadata, annotations: annotations)
        return Message(
            sequence: self.sequence, revision: revision, sentAt: self.sentAt,
            acceptedAt: self.acceptedAt, state: state, body: body)
    }
}

extension Message {
    /// Whether the message has changed since it was posted. Its present state shows this: reactions
    /// and pins are remembered after their end.
    public var wasAmended: Bool {
        self.state != .asSent || self.body.annotations?.reactions != nil
            || self.body.annotations?.pin != nil
    }

    /// The events that bring a subscriber from any earlier state of the message to this one.
    public var catchUpEvents: [ChatEvent] {
        var events: [ChatEvent] = []
        switch self.state {
        case .deleted: return [.deleted(self)]
        case .edited: events.append(.edited(self))
        case .asSent: break
        }
        if self.body.annotations?.reactions != nil { events.append(.reacted(self)) }
        if let pin = self.body.annotations?.pin {
            events.append(pin.isPinned ? .pinned(self) : .unpinned(self))
        }
        return events
    }
}
