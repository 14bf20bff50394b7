import EventLoop

/// Reactions, pins and search.
extension ChatSession {
    mutating func handleFeature(
        _ event: ServerEvent, at now: MonotonicTime, into steps: inout [ClientStep]
    ) {
        switch event {
        case .reactions(let id, let rev, let reactions):
            self.deliver(
                self.timeline.change(.reactions(to: id, rev: rev, reactions)), at: now,
                into: &steps)
        case .reacted(let id, let rev): self.reacted(to: id, rev, at: now, into: &steps)
        case .pinned(let message, let user):
            self.deliver(
                self.timeline.change(.pinned(self.owned(message), by: user)), at: now, into: &steps)
            self.finish(.pin(message.id), by: user, at: now, into: &steps)
        case .unpinned(let message, let user):
            self.deliver(
                self.timeline.change(.unpinned(self.owned(message), by: user)), at: now,
                into: &steps)
            self.finish(.unpin(message.id), by: user, at: now, into: &steps)
        case .pins(let messages):
            guard let request = self.takeRequest({ $0 == .command(.pins) }) else { return }
            let pinned = messages.map { self.timeline.latest(self.owned($0)) }
            self.answer(request, .messages(pinned), &steps)
            self.flush(at: now, into: &steps)
        case .found(var found):
            let request = self.takeRequest {
                if case .command(.search) = $0 { true } else { false }
            }
            guard let request else { return }
            found.messages = found.messages.map { self.timeline.latest(self.owned($0)) }
            self.answer(request, .found(found), &steps)
            self.flush(at: now, into: &steps)
        default: break
        }
    }

    private mutating func reacted(
        to id: Int, _ rev: Int, at now: MonotonicTime, into steps: inout [ClientStep]
    ) {
        let request = self.takeRequest {
            if case .command(.react(id, _, _)) = $0 { true } else { false }
        }
        guard let request, case .command(.react(_, let emoji, let isOn)) = request.kind else {
            return
        }
        // The server removes variation selectors, so its emoji are written without them.
        var plain = String.UnicodeScalarView()
        plain.append(contentsOf: emoji.unicodeScalars.filter { !(0xFE0E...0xFE0F ~= $0.value) })
        self.deliver(
            self.timeline.reacted(to: id, String(plain), isOn: isOn, rev: rev), at: now,
            into: &steps)
        self.answer(request, .done, &steps)
        self.flush(at: now, into: &steps)
    }

    /// Completes the pin or its end, if this user's caused the event.
    private mutating func finish(
        _ command: ClientCommand, by user: String, at now: MonotonicTime,
        into steps: inout [ClientStep]
    ) {
        guard self.user == nil || self.user == user,
            let request = self.takeRequest({ $0 == .command(command) })
        else { return }
        self.answer(request, .done, &steps)
        self.flush(at: now, into: &steps)
    }
}
