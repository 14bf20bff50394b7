import EventLoop

/// Input from the user.
extension ChatSession {
    /// Lists the commands that this protocol supports.
    private var help: String {
        var lines: [(String, String)] = []
        if self.supports(.presence) || self.supports(.members) {
            lines.append(
                (
                    "/who",
                    self.supports(.presence) ? "list the users online" : "list the members"
                ))
        }
        if self.supports(.history) {
            lines.append(("/history N", "show the last N messages (1 to 100)"))
        }
        if self.supports(.directMessages) {
            lines.append(("/to NAME TEXT", "send a message to one agent"))
        }
        if self.supports(.edits) {
            lines.append(("/edit ID TEXT", "edit your own message"))
            lines.append(("/delete ID", "delete your own message"))
        }
        lines.append(("/quit", "quit; the end of the input also quits"))
        lines.append(("//TEXT", "send a line that begins with a slash"))
        return lines.map { $0.0 + String(repeating: " ", count: 18 - $0.0.count) + $0.1 }.joined(
            separator: "\n")
    }

    mutating func typed(_ line: String, at now: MonotonicTime, into steps: inout [ChatStep]) {
        // The server rejects messages that contain only white space.
        guard line.unicodeScalars.contains(where: { !$0.properties.isWhitespace }) else { return }
        if line.hasPrefix("//") {
            self.enqueue(String(line.dropFirst()), at: now, into: &steps)
        } else if line.hasPrefix("/") {
            self.execute(line, at: now, into: &steps)
        } else {
            self.enqueue(line, at: now, into: &steps)
        }
    }

    /// The input has ended: the session exits as soon as everything is answered.
    mutating func inputEnded(at now: MonotonicTime) {
        self.inputHasEnded = true
        if self.settings.isInteractive {
            self.quitsAt = self.quitsAt ?? now.advanced(by: Self.quitTimeout)
        }
    }

    /// The user has changed the line that is being typed.
    mutating func editing(_ line: String, at now: MonotonicTime, into steps: inout [ChatStep]) {
        guard self.supports(.typing), self.hasJoined, self.canSendCommands else { return }
        let isTyping = !line.isEmpty && !line.hasPrefix("/")
        if isTyping {
            // The server clears a typing state after 6 s.
            if let sentAt = self.typingSentAt, now.since(sentAt) < .seconds(4) { return }
            self.typingSentAt = now
            self.send(.typing(true), into: &steps)
        } else if self.typingSentAt != nil {
            self.typingSentAt = nil
            self.send(.typing(false), into: &steps)
        }
    }

    private mutating func enqueue(
        _ text: String, to: String? = nil, at now: MonotonicTime, into steps: inout [ChatStep]
    ) {
        self.outbox.add(text, to: to, prefix: self.settings.localIDPrefix)
        self.typingSentAt = nil
        self.sendNext(at: now, into: &steps)
    }

    /// Sends the next line, if none is in flight.
    mutating func sendNext(at now: MonotonicTime, into steps: inout [ChatStep]) {
        guard self.canSendCommands, let line = self.outbox.beginSendingNext(at: now) else { return }
        self.send(.send(line), into: &steps)
    }

    private mutating func execute(
        _ line: String, at now: MonotonicTime, into steps: inout [ChatStep]
    ) {
        let words = line.split(separator: " ", maxSplits: 1)
        let argument = words.count > 1 ? String(words[1].drop { $0 == " " }) : ""
        switch words[0] {
        case "/quit":
            self.inputHasEnded = true
            self.quitsAt = now.advanced(by: Self.quitTimeout)
        case "/help":
            steps.append(.show(.notice(self.help)))
        case "/who" where self.supports(.presence):
            steps.append(.show(.notice(self.presence.summary)))
        case "/who" where self.supports(.members):
            self.submit(.members, into: &steps)
        case "/history" where self.supports(.history):
            guard let count = argument.isEmpty ? Self.historyLimit : Int(argument),
                (1...100).contains(count)
            else {
                return self.reject("/history takes a number from 1 to 100.", into: &steps)
            }
            self.submit(.history(count), into: &steps)
        case "/to" where self.supports(.directMessages):
            let parts = argument.split(separator: " ", maxSplits: 1)
            guard parts.count == 2,
                parts[1].unicodeScalars.contains(where: { !$0.properties.isWhitespace })
            else {
                return self.reject(
                    "/to takes an agent's name and a text: /to bob hello", into: &steps)
            }
            self.enqueue(String(parts[1]), to: String(parts[0]), at: now, into: &steps)
        case "/edit" where self.supports(.edits):
            let parts = argument.split(separator: " ", maxSplits: 1)
            guard parts.count == 2, let id = Self.messageID(parts[0]) else {
                return self.reject(
                    "/edit takes a message's number and its new text: /edit 12 hello",
                    into: &steps)
            }
            self.submit(.edit(id, String(parts[1])), into: &steps)
        case "/delete" where self.supports(.edits):
            guard let id = Self.messageID(Substring(argument)) else {
                return self.reject("/delete takes a message's number: /delete 12", into: &steps)
            }
            self.submit(.delete(id), into: &steps)
        case "/who", "/history", "/to", "/edit", "/delete":
            self.reject(
                """
                The \(self.dialect.dialect.title) protocol does not support \(words[0]); /help \
                lists its commands.
                """,
                into: &steps)
        default:
            let name = SafeText.line(String(words[0]), limit: 30)
            self.reject(
                """
                There is no command \(name); /help lists them. To send a line that begins with a \
                slash, type two slashes.
                """,
                into: &steps)
        }
    }

    private static func messageID(_ text: Substring) -> Int? {
        let digits = text.hasPrefix("#") ? text.dropFirst() : text
        return Int(digits).flatMap { $0 > 0 ? $0 : nil }
    }

    private mutating func submit(_ command: ClientCommand, into steps: inout [ChatStep]) {
        self.pendingCommands.append(command)
        if self.canSendCommands { self.send(command, into: &steps) }
    }

    private mutating func reject(_ message: String, into steps: inout [ChatStep]) {
        self.failedCount += 1
        steps.append(.show(.error(message)))
    }
}
