import ChatModel

/// Comparison of screens and answers with the stored history.
extension SimulationChecker {
    /// A message is delivered live or by a replay.
    mutating func delivered(_ message: Message, to client: SimulatedClient) {
        let history = self.history(of: client.conversation)
        let next = client.screen.through + 1
        if message.sequence != next {
            // The newest message of both masters determines which ones are trimmed.
            let oldest = max(history.oldest, self.otherHistories?[client.conversation]?.oldest ?? 0)
            let isDropped = message.sequence > next && oldest >= message.sequence
            // After a loss a feed delivers the remaining history from the first difference on, also
            // to clients that have it.
            let isRepeated =
                message.sequence < next
                && (history.rewritten.contains(message.sequence)
                    || self.mayBeOfTwoMasters(history))
            self.expect(
                isDropped || isRepeated,
                "\(client.name) received message \(message.sequence) instead of \(next)")
        }
        client.screen.through = message.sequence
        client.screen.delivered[message.sequence] = message
        client.lastSeen = message.sequence
        self.check(message, seenBy: client)
    }

    /// Messages with one number from two masters have different times; neither is a version of the
    /// other.
    func areOfTwoMasters(_ one: Message, _ other: Message, _ history: ConversationHistory)
        -> Bool
    {
        one.sentAt != other.sentAt && self.mayBeOfTwoMasters(history)
    }

    func mayBeOfTwoMasters(_ history: ConversationHistory) -> Bool {
        self.otherHistories != nil || history.hasLostData
    }

    /// A message appears on a screen. It may be newer than the version shown before, never older.
    mutating func check(_ message: Message, seenBy client: SimulatedClient) {
        self.expect(
            self.isStored(message, in: client.conversation),
            "\(client.name) received message \(message.sequence) "
                + "in a version \(message.revision) that is not stored"
        )
        let known =
            client.screen.messages[message.sequence]
            ?? client.screen.amendedBeforeDelivery[message.sequence]
        if let known {
            // A change that both masters executed has two revisions.
            let history = self.history(of: client.conversation)
            let looksTheSame = known.looks(like: message)
            self.expect(
                known.revision <= message.revision || self.isInDoubt(known, in: client.conversation)
                    || self.areOfTwoMasters(known, message, history)
                    || looksTheSame && self.mayBeOfTwoMasters(history),
                "\(client.name) received message \(message.sequence) \(message.state) "
                    + "(\(message.revision)) after \(known.state) (\(known.revision))"
            )
        }
        if message.sequence <= client.screen.through {
            client.screen.messages[message.sequence] = message
        }
    }

    mutating func amended(_ message: Message, for client: SimulatedClient) {
        if client.screen.messages[message.sequence] != nil {
            self.check(message, seenBy: client)
        } else {
            client.screen.amendedBeforeDelivery[message.sequence] = message
        }
    }

    mutating func status(
        _ status: MessageStatus, of sequences: [SequenceNumber], for client: SimulatedClient,
        at now: Int64
    ) {
        for sequence in sequences {
            let isOwn = self.versions(of: sequence, in: client.conversation).contains {
                $0.body.author.id == client.person.id
            }
            self.expect(
                isOwn, "\(client.name) received the status of \(sequence), which is not its own")
            if self.history(of: client.conversation).hasLostCursors { continue }
            if status == .delivered {
                self.expect(
                    !client.screen.readSequences.contains(sequence),
                    "\(client.name) received that \(sequence) is delivered after it was read")
                self.expect(
                    client.screen.deliveredSequences.insert(sequence).inserted,
                    "\(client.name) received twice that \(sequence) is delivered")
            } else {
                self.expect(
                    client.screen.readSequences.insert(sequence).inserted,
                    "\(client.name) received twice that \(sequence) is read")
            }
            // A status reaches several connections, some of them late. A repetition comes much
            // later.
            let report = StatusReport(author: client.person.id, sequence: sequence, status: status)
            let first = self.histories[client.conversation]?.firstStatusReports[report] ?? now
            self.histories[client.conversation]?.firstStatusReports[report] = first
            self.expect(
                now - first < 5000,
                "\(client.name) received that \(sequence) is \(status) again, "
                    + "\(now - first) ms after the first time"
            )
        }
    }

    /// At the end, every screen must show the stored history.
    mutating func compareScreen(
        _ client: SimulatedClient, with page: MessagePage, present: Set<UserID>
    ) {
        self.compareMessages(client, with: page)
        let screen = client.screen
        if let crowd = screen.crowd {
            self.expect(
                crowd == present.count,
                "\(client.name) shows a crowd of \(crowd) instead of \(present.count)")
        } else {
            let others = present.subtracting([client.person.id])
            self.expect(
                screen.online.subtracting([client.person.id]) == others,
                "\(client.name) shows \(screen.online.sorted()) online "
                    + "instead of \(others.sorted())"
            )
        }
        self.expect(
            screen.typingUsers.isEmpty,
            "\(client.name) still shows \(screen.typingUsers.sorted()) typing")
        self.expect(
            screen.isEnded == self.history(of: client.conversation).ended,
            "\(client.name) shows a wrong end of the conversation")
    }

    /// Every answered send must be stored exactly once at the end. Exceptions: its owner crashed
    /// with the retained write, or the owner never learned that it was stored, and the store lost
    /// it.
    mutating func compareAnswers(in key: ConversationKey, with page: MessagePage, dead: Set<LoopID>)
    {
        let history = self.history(of: key)
        var counts: [CheckedSend: Int] = [:]
        for message in page.messages {
            guard let id = message.body.clientMessageID else { continue }
            counts[CheckedSend(user: message.body.author.id, clientID: id), default: 0] += 1
        }
        for (send, sequence) in history.answeredSends.sorted(by: { $0.value < $1.value })
        where sequence >= page.oldest {
            let isUnacknowledged =
                history.hasLostData && self.unacknowledged[key]?.contains(send) == true
            let isLost =
                isUnacknowledged || history.writers[send].map { dead.contains($0) } ?? false
            let count = counts[send] ?? 0
            let window =
                self.limits.historyLimit > 0
                ? min(self.limits.historyLimit, self.limits.recentMessages)
                : self.limits.recentMessages
            self.expect(
                count == 1 || count == 0 && isLost || count > 1 && page.messages.count > window,
                "\(key): message \(sequence) was acknowledged to \(send.user), "
                    + "and is stored \(count) times at the end"
            )
        }
    }

    /// Every message must be shown as it is stored.
    mutating func compareMessages(_ client: SimulatedClient, with page: MessagePage) {
        let screen = client.screen
        self.expect(
            screen.through == page.head,
            "\(client.name) received \(screen.through) messages of \(page.head)")
        for message in page.messages {
            guard let delivered = screen.messages[message.sequence] else { continue }
            // A message of a lost master can look the same and differ only in its revision.
            let isSameToSee =
                delivered.isSameMessage(as: message) && delivered.looks(like: message)
                && (self.hadTwoMasters || self.isInDoubt(delivered, in: client.conversation))
            self.expect(
                delivered.revision == message.revision && delivered.looks(like: message)
                    || isSameToSee,
                "\(client.name) shows message \(message.sequence) as \(delivered.state) "
                    + "(\(delivered.revision)) instead of \(message.state) (\(message.revision))"
            )
        }
    }
}
