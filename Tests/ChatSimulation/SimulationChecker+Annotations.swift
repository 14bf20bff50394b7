import ChatModel

/// Reactions, pins, replies and mentions.
extension SimulationChecker {
    /// What a user asked of a message, as a state: with a reaction or without, pinned or not.
    struct AnnotationRequest {
        enum RequestSubject: Hashable {
            case reaction(UserID, Emoji)
            case pin
        }

        let subject: RequestSubject
        let isOn: Bool
        let conversation: ConversationKey
        let sequence: SequenceNumber
        let requestedAt: Int64
        /// When it was acknowledged. A request without an acknowledgement may be fulfilled at any
        /// time, or never.
        var acknowledgedAt: Int64?
        /// The text with which the acknowledged message was sent. No two messages have the same
        /// text, and their numbers may change.
        var original: String?
    }

    mutating func requested(
        _ subject: AnnotationRequest.RequestSubject, isOn: Bool, of sequence: SequenceNumber,
        in conversation: ConversationKey, at now: Int64
    ) -> Int {
        self.annotationRequests.append(
            AnnotationRequest(
                subject: subject, isOn: isOn, conversation: conversation, sequence: sequence,
                requestedAt: now))
        return self.annotationRequests.count - 1
    }

    /// A request is acknowledged with the message in its present state.
    mutating func acknowledged(
        _ request: Int, _ message: Message, to client: SimulatedClient, at now: Int64
    ) {
        self.expect(
            self.isStored(message, in: client.conversation),
            "\(client.name) got message \(message.sequence) in a state that is not stored")
        self.annotationRequests[request].acknowledgedAt = now
        self.annotationRequests[request].original = self.original(
            of: message, in: client.conversation)
    }

    /// Whether any master has stored the message in this state.
    func isStored(_ message: Message, in key: ConversationKey) -> Bool {
        self.versions(of: message.sequence, in: key).contains {
            $0.revision == message.revision && $0.looks(like: message)
        }
    }

    /// The text with which a message was sent.
    func original(of message: Message, in key: ConversationKey) -> String? {
        self.versions(of: message.sequence, in: key).first {
            $0.state == .asSent && $0.isSameMessage(as: message)
        }?.body.content
    }

    mutating func checkPinned(_ message: Message, listedFor client: SimulatedClient) {
        self.expect(message.isPinned, "\(client.name) got a list with message \(message.sequence)")
        self.expect(
            self.isStored(message, in: client.conversation),
            "\(client.name) got a list with message \(message.sequence) in a state that is not "
                + "stored")
    }

    /// A message is stored with what it refers to.
    mutating func checkAnnotations(of message: Message, in key: ConversationKey) {
        let annotations = message.body.annotations
        self.expect(
            message.state != .deleted
                || annotations?.reactions == nil && annotations?.mentions == nil
                    && annotations?.pin == nil,
            "\(key): the deleted message \(message.sequence) has reactions, mentions or a pin")
        for group in annotations?.reactions?.groups ?? [] {
            self.expect(
                !group.users.isEmpty && Set(group.users).count == group.users.count,
                "\(key): message \(message.sequence) has \(group.emoji) by \(group.users)")
        }
        guard let reply = annotations?.reply else { return }
        self.expect(
            reply.to >= 1 && reply.to < message.sequence,
            "\(key): message \(message.sequence) replies to \(reply.to)")
        // An empty message without a send fills the number of a lost one, whose thread is unknown.
        // After two masters, a part of one history may continue the other.
        guard let target = self.history(of: key).versions[reply.to]?.values.first,
            target.body.clientMessageID != nil, !self.hadTwoMasters
        else { return }
        self.expect(
            reply.thread == target.body.annotations?.reply?.thread ?? reply.to,
            "\(key): message \(message.sequence) replies to \(reply.to) in thread \(reply.thread)")
    }

    /// A reply is stored with the target that its author saw, and with mentions that it asked for.
    mutating func checkRequested(by message: Message, in key: ConversationKey) {
        guard message.state == .asSent,
            let requested = self.requestedAnnotations[message.body.content]
        else { return }
        let annotations = message.body.annotations
        let mentions = annotations?.mentions
        self.expect(
            (mentions?.users ?? []).allSatisfy { requested.mentions.contains($0) },
            "\(key): message \(message.sequence) mentions \(mentions?.users ?? [])")
        guard !self.mayBeOfTwoMasters(self.history(of: key)) else { return }
        self.expect(
            annotations?.reply?.to == requested.reply,
            "\(key): message \(message.sequence) replies to \(annotations?.reply?.to ?? 0) "
                + "instead of \(requested.reply ?? 0)")
    }

    // MARK: The end

    /// Every acknowledged request is fulfilled, unless a later one of the same subject revoked it.
    mutating func compareAnnotations(
        in key: ConversationKey, with page: MessagePage, pins: [Message], hasDeadLoops: Bool
    ) {
        for message in page.messages {
            self.checkAnnotations(of: message, in: key)
            let isListed = pins.contains {
                $0.sequence == message.sequence && $0.revision == message.revision
            }
            self.expect(
                message.isPinned == isListed,
                "\(key): message \(message.sequence) is \(message.isPinned ? "" : "not ")pinned, "
                    + "unlike in the list")
            guard message.state != .deleted, let original = self.original(of: message, in: key)
            else { continue }
            self.compareAnnotations(
                of: message, original, in: key, hasDeadLoops: hasDeadLoops)
        }
        self.expect(
            Set(pins.map(\.sequence)).count == pins.count, "\(key): a message is pinned twice")
    }

    private mutating func compareAnnotations(
        of message: Message, _ original: String, in key: ConversationKey, hasDeadLoops: Bool
    ) {
        let history = self.history(of: key)
        // With two masters, the first attempt of a request and its retry may have applied to
        // different messages with one number.
        let requests = self.annotationRequests.filter {
            $0.conversation == key
                && (history.hasLostData
                    || ($0.original.map { $0 == original } ?? ($0.sequence == message.sequence)))
        }
        // What a loop that died had retained is lost.
        if history.hasLostData && hasDeadLoops { return }
        for subject in Set(requests.map(\.subject)) {
            let all = requests.filter { $0.subject == subject }
            let isOn = message.has(subject)
            let taken = all.filter { $0.isOn != isOn && $0.original == original }
            // Two masters have two orders.
            let isFulfilled =
                all.contains { request in
                    request.isOn == isOn
                        && (history.hasLostData
                            || taken.allSatisfy {
                                $0.requestedAt <= request.acknowledgedAt ?? .max
                            })
                } || !isOn && taken.isEmpty
            self.expect(
                isFulfilled,
                "\(key): message \(message.sequence) has \(isOn ? "" : "no ")\(subject), although "
                    + "the opposite was acknowledged later")
        }
        for group in message.body.annotations?.reactions?.groups ?? [] {
            for user in group.users {
                self.expect(
                    requests.contains { $0.isOn && $0.subject == .reaction(user, group.emoji) },
                    "\(key): message \(message.sequence) has \(group.emoji) by \(user), who never "
                        + "asked for it")
            }
        }
    }

    /// At the end, the last list of pins that a client got is the store's.
    mutating func compareListedPins(_ client: SimulatedClient, with pins: [Message]) {
        guard let listed = client.listedPins else { return }
        self.expect(
            listed.map(\.sequence) == pins.reversed().map(\.sequence)
                && zip(listed, pins.reversed()).allSatisfy { $0.looks(like: $1) },
            "\(client.name) got the pins \(listed.map(\.sequence)) instead of "
                + "\(pins.reversed().map(\.sequence))")
    }
}

extension Message {
    /// Whether both look the same to a user, whatever their revisions.
    func looks(like other: Message) -> Bool {
        self.state == other.state && self.body.content == other.body.content
            && self.body.annotations?.reply == other.body.annotations?.reply
            && self.body.annotations?.mentions == other.body.annotations?.mentions
            && self.body.annotations?.reactions ?? Reactions()
                == other.body.annotations?.reactions ?? Reactions()
            && self.isPinned == other.isPinned
    }

    fileprivate func has(_ subject: SimulationChecker.AnnotationRequest.RequestSubject) -> Bool {
        switch subject {
        case .pin: self.isPinned
        case .reaction(let user, let emoji):
            self.body.annotations?.reactions?.groups.contains {
                $0.emoji == emoji && $0.users.contains(user)
            } ?? false
        }
    }
}
