import Bytes
import ChatModel
import ChatSimulation

@testable import ChatCore

/// Commands of users and reports of loops, in short form.
extension ConversationFixture {
    /// Creates the conversation, without members.
    mutating func create(
        by creator: Person, template: ConversationTemplate = .closed, request: RequestID? = nil
    ) -> [String] {
        self.submit(
            .create(
                NewConversation(
                    template, creator: Principal(person: creator, isAdmin: false), members: [])),
            request: request)
    }

    /// Changes the properties that the closure changes.
    mutating func update(
        by person: Person, admin: Bool = false, request: RequestID? = nil,
        retry isRetry: Bool = false, _ change: (inout ConversationUpdate) -> Void
    ) -> [String] {
        var update = ConversationUpdate(origin: ConversationTemplate.listed.origin)
        change(&update)
        return self.submit(
            .update(update, by: Principal(person: person, isAdmin: admin)), request: request,
            retry: isRetry)
    }

    mutating func joinAndSubscribe(
        _ person: Person, listed: Bool = true, admin: Bool = false,
        template: ConversationTemplate = .closed, on loop: LoopID = east,
        request: RequestID? = nil
    ) -> [String] {
        let principal = Principal(person: person, isAdmin: admin)
        return self.submit(
            .joinAndSubscribe(
                JoinRequest(principal: principal, isListedInToken: listed, template: template)),
            on: loop, request: request)
    }

    mutating func join(_ person: Person, listed: Bool = false, request: RequestID? = nil)
        -> [String]
    {
        let principal = Principal(person: person, isAdmin: false)
        return self.submit(
            .join(JoinRequest(principal: principal, isListedInToken: listed, template: .closed)),
            request: request)
    }

    mutating func post(
        _ content: String, by person: Person, id: String? = nil, on loop: LoopID = east,
        request: RequestID? = nil, retry isRetry: Bool = false
    ) -> [String] {
        self.submit(
            .post(.text(content, by: person, id: id)), on: loop, request: request, retry: isRetry)
    }

    mutating func edit(
        _ sequence: SequenceNumber, to content: String, by person: Person, admin: Bool = false,
        request: RequestID? = nil, retry isRetry: Bool = false
    ) -> [String] {
        self.submit(
            .edit(sequence, content: content, by: Principal(person: person, isAdmin: admin)),
            request: request, retry: isRetry)
    }

    mutating func delete(
        _ sequence: SequenceNumber, by person: Person, admin: Bool = false,
        request: RequestID? = nil, retry isRetry: Bool = false
    )
        -> [String]
    {
        self.submit(
            .delete(sequence, by: Principal(person: person, isAdmin: admin)), request: request,
            retry: isRetry)
    }

    mutating func read(_ sequences: SequenceNumber..., by person: Person) -> [String] {
        self.submit(.read(sequences, by: person.id))
    }

    mutating func setTyping(_ isTyping: Bool = true, by person: Person) -> [String] {
        self.submit(.typing(isTyping, by: person))
    }

    mutating func leave(_ person: Person, request: RequestID? = nil, retry isRetry: Bool = false)
        -> [String]
    {
        self.submit(.leave(person.id), request: request, retry: isRetry)
    }

    mutating func add(
        _ person: Person, by actor: Person, admin: Bool = false, request: RequestID? = nil,
        retry isRetry: Bool = false
    ) -> [String] {
        self.submit(
            .addMember(person, by: Principal(person: actor, isAdmin: admin)), request: request,
            retry: isRetry)
    }

    mutating func remove(
        _ person: Person, by actor: Person, admin: Bool = false, request: RequestID? = nil,
        retry isRetry: Bool = false
    ) -> [String] {
        self.submit(
            .removeMember(person.id, by: Principal(person: actor, isAdmin: admin)),
            request: request, retry: isRetry)
    }

    mutating func end(
        by person: Person, admin: Bool = false, request: RequestID? = nil,
        retry isRetry: Bool = false
    ) -> [String] {
        self.submit(
            .end(by: Principal(person: person, isAdmin: admin)), request: request, retry: isRetry)
    }

    mutating func describe(by person: Person, admin: Bool = false) -> [String] {
        self.submit(.describe(by: Principal(person: person, isAdmin: admin)))
    }

    // MARK: Reports of loops

    mutating func unsubscribe(_ person: Person, on loop: LoopID = east) -> [String] {
        self.handle(.unsubscribe(person.id), from: RequestOrigin(loop: loop, request: 0))
    }

    mutating func detach(_ loop: LoopID) -> [String] {
        self.handle(.detach, from: RequestOrigin(loop: loop, request: 0))
    }

    mutating func reportDelivered(
        _ range: ClosedRange<SequenceNumber>, to person: Person, on loop: LoopID = east
    ) -> [String] {
        self.handle(.delivered(person.id, range), from: RequestOrigin(loop: loop, request: 0))
    }

    mutating func attach(
        _ loop: LoopID, present: [Person] = [], joining: [Person] = [],
        knownOnline: [Person] = [], delivered: [DeliveryReport] = [],
        revision: Revision = 0, head: SequenceNumber = 0
    ) -> [String] {
        self.handle(
            .attach(
                Attachment(
                    present: present, joining: joining, knownOnline: knownOnline,
                    delivered: delivered,
                    revision: revision, head: head)),
            from: RequestOrigin(loop: loop, request: 1))
    }
}

extension ConversationFixture {
    mutating func react(
        _ sequence: SequenceNumber, _ emoji: Emoji, isOn: Bool = true, by person: Person,
        request: RequestID? = nil, retry isRetry: Bool = false
    ) -> [String] {
        self.submit(
            .react(sequence, emoji, isOn: isOn, by: Principal(person: person, isAdmin: false)),
            request: request, retry: isRetry)
    }

    mutating func pin(
        _ sequence: SequenceNumber, by person: Person, request: RequestID? = nil,
        retry isRetry: Bool = false
    ) -> [String] {
        self.submit(
            .pin(sequence, by: Principal(person: person, isAdmin: false)), request: request,
            retry: isRetry)
    }

    mutating func unpin(
        _ sequence: SequenceNumber, by person: Person, admin: Bool = false,
        request: RequestID? = nil, retry isRetry: Bool = false
    ) -> [String] {
        self.submit(
            .unpin(sequence, by: Principal(person: person, isAdmin: admin)), request: request,
            retry: isRetry)
    }

    mutating func pins(_ person: Person, request: RequestID? = nil) -> [String] {
        self.submit(.pins(by: Principal(person: person, isAdmin: false)), request: request)
    }

    mutating func reply(
        _ content: String, to target: SequenceNumber, by person: Person, request: RequestID? = nil
    ) -> [String] {
        let annotations = MessageAnnotations(reply: Reply(to: target), mentions: nil)
        return self.submit(
            .post(MessageBody.text(content, by: person).with(annotations)), request: request)
    }

    mutating func post(_ content: String, by person: Person, mentioning mentions: Mentions)
        -> [String]
    {
        self.submit(
            .post(
                MessageBody.text(content, by: person).with(
                    MessageAnnotations(reply: nil, mentions: mentions))))
    }
}
