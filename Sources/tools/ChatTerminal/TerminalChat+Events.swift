import ConfabClient
import EventLoop

/// Events of conversations.
extension TerminalChat {
    mutating func received(
        _ event: ConversationEvent, from id: String, at now: MonotonicTime,
        into steps: inout [TerminalStep]
    ) {
        guard !self.hasExited, let index = self.rooms.firstIndex(where: { $0.id == id }) else {
            return
        }
        switch event {
        case .message(let message):
            if message.isOwn { self.advance(message.id, to: .sent, in: index) }
            self.display(message, in: index, into: &steps)
        case .change(let message): self.changed(message, in: index, into: &steps)
        case .remove(let message): self.removed(message, in: index, into: &steps)
        case .reactions(let message): self.reacted(message, in: index, into: &steps)
        case .pinned(let message, let user):
            self.pinned(message, by: user, isPinned: true, in: index, into: &steps)
        case .unpinned(let message, let user):
            self.pinned(message, by: user, isPinned: false, in: index, into: &steps)
        case .reset(let reason, let messages, let after):
            self.reset(reason, messages, after: after, in: index, into: &steps)
        case .typing(let user, let name, let isTyping):
            self.rooms[index].typing[user] = isTyping ? SafeText.line(name, limit: 40) : nil
        case .presence(let changes, let online):
            self.recordPresence(changes, online, in: index, into: &steps)
        case .receipt(let ids, let state, let user):
            guard user == nil, let newest = self.rooms[index].newestOwn, ids.contains(newest.id),
                self.advance(newest.id, to: state, in: index), self.settings.isInteractive
            else { return }
            self.add(.status(id: newest.id, state), to: index, into: &steps)
        case .outbox(let localID, let state):
            self.recordSendState(localID, state, in: index, into: &steps)
        case .ended(let user):
            let by = user.map { " by \(SafeText.line($0, limit: 128))" } ?? ""
            self.add(.notice("The conversation was ended\(by)."), to: index, into: &steps)
        case .updated(let properties, let user):
            let title = SafeText.line(properties.title, limit: 200)
            let access =
                properties.isClosed
                ? "only its members may join" : "everyone with its link may join"
            self.add(
                .notice(
                    "\(SafeText.line(user, limit: 128)) has changed the conversation: "
                        + "\(title.isEmpty ? "" : "“\(title)”, ")\(access)."),
                to: index, into: &steps)
        case .error(let reason, let action):
            self.add(.error(Self.sentence(reason, action)), to: index, into: &steps)
        case .state(let change): self.changeState(change, in: index, at: now, into: &steps)
        case .direct(let message, let to):
            self.add(.direct(message, to: to), to: index, into: &steps)
            if !message.isOwn { self.countUnread(index) }
        case .notice(let text): self.add(.notice(text), to: index, into: &steps)
        }
    }

    /// The answer to an action.
    mutating func answered(
        _ action: RoomAction, in id: String, with answer: ActionAnswer,
        into steps: inout [TerminalStep]
    ) {
        guard !self.hasExited, let index = self.rooms.firstIndex(where: { $0.id == id }) else {
            return
        }
        self.rooms[index].pendingCommands -= 1
        switch answer {
        case .done where action == .leave: self.left(index, into: &steps)
        case .done: break
        case .messages(let messages):
            if let sentence = Self.goneRootSentence(for: action, messages) {
                self.add(.notice(sentence), to: index, into: &steps)
            }
            for message in messages where !message.isDeleted {
                self.add(.message(message), to: index, into: &steps)
            }
            if messages.isEmpty {
                self.add(.notice(Self.emptySentence(for: action)), to: index, into: &steps)
            }
        case .members(let names, let hasMore):
            let list = names.map { SafeText.line($0, limit: 128) }.joined(separator: ", ")
            let text =
                names.isEmpty
                ? "There are no members." : "Members: \(list)\(hasMore ? " and more" : "")."
            self.add(.notice(text), to: index, into: &steps)
        case .failed(let reason):
            self.failedCount += 1
            if action == .leave { self.rooms[index].isLeaving = false }
            self.add(.error(Self.sentence(reason, nil)), to: index, into: &steps)
        }
    }

    private static func sentence(_ reason: String, _ action: String?) -> String {
        switch action {
        case nil, "join": "The server says: \(SafeText.line(reason, limit: 300))"
        case "send": "The server rejected a message: \(SafeText.line(reason, limit: 300))"
        default: SafeText.line(reason, limit: 300)
        }
    }

    /// Displays a line if its conversation is the current one, or if lines of all conversations
    /// are printed.
    mutating func add(
        _ line: ChatLine, to index: Int, into steps: inout [TerminalStep]
    ) {
        self.rooms[index].record(line)
        if index == self.currentIndex { steps.append(.show(line)) }
    }

    private mutating func display(
        _ message: ChatMessage, in index: Int, into steps: inout [TerminalStep]
    ) {
        self.rooms[index].people.record(message.author, named: message.displayName)
        if !message.isOwn {
            self.countUnread(index)
            self.rooms[index].displayedID = index == self.currentIndex ? message.id : nil
        }
        if !message.isDeleted { self.add(.message(message), to: index, into: &steps) }
    }

    private mutating func countUnread(_ index: Int) {
        if index != self.currentIndex { self.rooms[index].unreadCount += 1 }
    }

    @discardableResult
    private mutating func advance(_ id: Int, to state: MessageState, in index: Int) -> Bool {
        if let newest = self.rooms[index].newestOwn,
            newest.id > id || newest.id == id && newest.progress >= state
        {
            return false
        }
        self.rooms[index].newestOwn = (id, state)
        return true
    }

    private mutating func reset(
        _ reason: ResetReason, _ messages: [ChatMessage], after: Int?, in index: Int,
        into steps: inout [TerminalStep]
    ) {
        switch reason {
        case .opened:
            guard self.settings.isInteractive else { return }
        case .truncated, .overflow:
            let first = messages.first?.id ?? 0
            let text =
                first > (after ?? 0) + 1
                ? """
                Some messages are no longer available: the server retains them from #\(first) on.
                """
                : """
                The server no longer has the changes in between; /history shows the current \
                messages.
                """
            self.add(.error(text), to: index, into: &steps)
        case .replaced:
            self.rooms[index].newestOwn = nil
            let head = messages.last?.id ?? 0
            let text = """
                The server's history was replaced, for instance by a restored backup. Its newest \
                message is #\(head). Later messages are shown.
                """
            return self.add(.error(text), to: index, into: &steps)
        }
        for message in messages where message.id > after ?? 0 {
            self.display(message, in: index, into: &steps)
        }
        if reason == .opened { self.rooms[index].unreadCount = 0 }
    }

    private mutating func recordSendState(
        _ localID: String, _ state: SendState, in index: Int, into steps: inout [TerminalStep]
    ) {
        guard state != .sending,
            let item = self.rooms[index].unsent.firstIndex(where: { $0.localID == localID })
        else { return }
        let text = SafeText.line(self.rooms[index].unsent.remove(at: item).text, limit: 60)
        switch state {
        case .stored(let message):
            if message.id > 0 { self.advance(message.id, to: .sent, in: index) }
        case .failed(let reason):
            self.failedCount += 1
            let sentence = "Not sent: \(text) (\(SafeText.line(reason, limit: 300)))"
            self.add(.error(sentence), to: index, into: &steps)
            // The line is in the history of the input line.
            steps.append(.act(.discard(localID: localID), in: self.rooms[index].id))
        case .sending, .discarded: break
        }
    }

    private mutating func recordPresence(
        _ changes: [UserPresence], _ online: Int?, in index: Int, into steps: inout [TerminalStep]
    ) {
        if let online { self.rooms[index].presence.record(onlineCount: online) }
        for change in changes {
            self.rooms[index].people.record(change.user, named: change.name)
            let room = self.rooms[index]
            guard
                let transition = self.rooms[index].presence.record(
                    change.user, named: change.name, isOnline: change.isOnline),
                room.hasInitialPresence
            else { continue }
            let name = SafeText.line(change.name, limit: 128)
            let text = transition == .joined ? "\(name) is online." : "\(name) has left."
            self.add(.notice(text), to: index, into: &steps)
        }
    }

    private mutating func changeState(
        _ change: StateChange, in index: Int, at now: MonotonicTime,
        into steps: inout [TerminalStep]
    ) {
        let previous = self.rooms[index].state
        self.rooms[index].state = change.state
        switch change.state {
        case .connecting:
            self.rooms[index].presence = PresenceList()
            self.rooms[index].hasInitialPresence = false
        case .online:
            self.rooms[index].hasInitialPresence = true
            if self.rooms[index].lostAt != nil {
                self.add(.notice("Reconnected."), to: index, into: &steps)
            }
            self.rooms[index].lostAt = nil
            if !self.rooms[index].hasJoined, self.settings.isInteractive,
                self.rooms[index].capabilities.contains(.presence)
            {
                self.add(.notice(self.rooms[index].presence.summary), to: index, into: &steps)
            }
            self.rooms[index].hasJoined = true
        case .waiting: self.lost(change.reason, previous, in: index, at: now, into: &steps)
        case .refused: self.refused(change.reason, in: index, into: &steps)
        case .offline, .closed: break
        }
    }

    private mutating func lost(
        _ reason: String, _ previous: ClientState, in index: Int, at now: MonotonicTime,
        into steps: inout [TerminalStep]
    ) {
        if self.quitsAt != nil { return self.exit(into: &steps) }
        let room = self.rooms[index]
        guard room.hasJoined || room.lostAt != nil else {
            return self.refused(reason, in: index, into: &steps)
        }
        let lostAt = room.lostAt ?? now
        self.rooms[index].lostAt = lostAt
        guard self.settings.isInteractive || now.since(lostAt) < Self.programReconnectTimeout else {
            self.add(.error(reason), to: index, into: &steps)
            return self.giveUp(into: &steps)
        }
        if previous == .online {
            self.add(.error("\(reason) Reconnecting."), to: index, into: &steps)
        }
    }

    /// The first conversation that cannot be entered ends the program; a later one is closed.
    private mutating func refused(
        _ reason: String, in index: Int, into steps: inout [TerminalStep]
    ) {
        guard !self.rooms[index].isLeaving else { return self.left(index, into: &steps) }
        guard self.rooms.count > 1 else {
            self.add(.error(reason), to: index, into: &steps)
            return self.giveUp(into: &steps)
        }
        let label = self.rooms[index].label
        steps.append(.act(.close, in: self.rooms[index].id))
        self.failedCount += 1
        self.removeRoom(index, into: &steps)
        self.show(.error("\(label): \(reason)"), into: &steps)
    }
}
