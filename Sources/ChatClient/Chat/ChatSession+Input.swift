import EventLoop

/// What is typed.
extension ChatSession {
    /// The commands that the protocol has words for.
    private var help: String {
        var lines: [(String, String)] = []
        if self.supports(.presence) || self.supports(.members) {
            lines.append(
                (
                    "/who",
                    self.supports(.presence) ? "who is here" : "who belongs to the conversation"
                ))
        }
        if self.supports(.history) {
            lines.append(("/history N", "the last N messages (1 to 100)"))
        }
        if self.supports(.directMessages) {
            lines.append(("/to NAME TEXT", "a message for that agent alone"))
        }
        if self.supports(.edits) {
            lines.append(("/edit ID TEXT", "changes a message of your own"))
            lines.append(("/delete ID", "deletes a message of your own"))
        }
        lines.append(("/quit", "leaves; so does the end of the input"))
        lines.append(("//TEXT", "sends a line that begins with a slash"))
        return lines.map { $0.0 + String(repeating: " ", count: 18 - $0.0.count) + $0.1 }.joined(
            separator: "\n")
    }

    mutating func typed(_ line: String, at now: MonotonicTime, into steps: inout [ChatStep]) {
        // The server refuses what is only white space.
        guard line.unicodeScalars.contains(where: { !$0.properties.isWhitespace }) else { return }
        if line.hasPrefix("//") {
            self.enqueue(String(line.dropFirst()), at: now, into: &steps)
        } else if line.hasPrefix("/") {
            self.execute(line, at: now, into: &steps)
        } else {
            self.enqueue(line, at: now, into: &steps)
        }
    }

    /// No more will be typed: one leaves as soon as everything is answered.
    mutating func inputEnded(at now: MonotonicTime) {
        self.inputHasEnded = true
        if self.settings.isInteractive {
            self.quitsAt = self.quitsAt ?? now.advanced(by: Self.quitTimeout)
        }
    }

    /// A person changes the line that is not sent yet.
    mutating func editing(_ line: String, at now: MonotonicTime, into steps: inout [ChatStep]) {
        guard self.supports(.typing), self.hasJoined, self.canSendCommands else { return }
        let isTyping = !line.isEmpty && !line.hasPrefix("/")
        if isTyping {
            // Others forget it after 6 s.
            if let told = self.typingSentAt, now.since(told) < .seconds(4) { return }
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

    /// Sends the line whose turn it is.
    mutating func sendNext(at now: MonotonicTime, into steps: inout [ChatStep]) {
        guard self.canSendCommands, let line = self.outbox.beginSendingNext(at: now) else { return }
        self.send(.send(line), into: &steps)
    }

    private mutating func execute(
        _ line: String, at now: MonotonicTime, into steps: inout [ChatStep]
    ) {
        let words = line.split(separator: " ", maxSplits: 1)
        let rest = words.count > 1 ? String(words[1].drop { $0 == " " }) : ""
        switch words[0] {
        case "/quit":
            self.inputHasEnded = true
            self.quitsAt = now.advanced(by: Self.quitTimeout)
        case "/help":
            steps.append(.show(.notice(self.help)))
        case "/who" where self.supports(.presence):
            steps.append(.show(.notice(self.presence.sentence)))
        case "/who" where self.supports(.members):
            self.submit(.members, into: &steps)
        case "/history" where self.supports(.history):
            guard let count = rest.isEmpty ? Self.historyLimit : Int(rest),
                (1...100).contains(count)
            else {
                return self.reject("/history takes a number from 1 to 100.", into: &steps)
            }
            self.submit(.history(count), into: &steps)
        case "/to" where self.supports(.directMessages):
            let parts = rest.split(separator: " ", maxSplits: 1)
            guard parts.count == 2,
                parts[1].unicodeScalars.contains(where: { !$0.properties.isWhitespace })
            else {
                return self.reject(
                    "/to takes an agent's name and a text: /to bob hello", into: &steps)
            }
            self.enqueue(String(parts[1]), to: String(parts[0]), at: now, into: &steps)
        case "/edit" where self.supports(.edits):
            let parts = rest.split(separator: " ", maxSplits: 1)
            guard parts.count == 2, let id = Self.messageID(parts[0]) else {
                return self.reject(
                    "/edit takes a message's number and the text that it is to have: /edit 12 hello",
                    into: &steps)
            }
            self.submit(.edit(id, String(parts[1])), into: &steps)
        case "/delete" where self.supports(.edits):
            guard let id = Self.messageID(Substring(rest)) else {
                return self.reject("/delete takes a message's number: /delete 12", into: &steps)
            }
            self.submit(.delete(id), into: &steps)
        case "/who", "/history", "/to", "/edit", "/delete":
            self.reject(
                "The \(self.dialect.dialect.name) protocol has nothing for \(words[0]); /help lists what it has.",
                into: &steps)
        default:
            let name = SafeText.line(String(words[0]), limit: 30)
            self.reject(
                "There is no command \(name); /help lists them. To send a line that begins with a slash, begin it with two.",
                into: &steps)
        }
    }

    private static func messageID(_ text: Substring) -> Int? {
        let digits = text.hasPrefix("#") ? text.dropFirst() : text
        return Int(digits).flatMap { $0 > 0 ? $0 : nil }
    }

    private mutating func submit(_ question: ClientCommand, into steps: inout [ChatStep]) {
        self.pendingCommands.append(question)
        if self.canSendCommands { self.send(question, into: &steps) }
    }

    private mutating func reject(_ sentence: String, into steps: inout [ChatStep]) {
        self.failedCount += 1
        steps.append(.show(.error(sentence)))
    }
}
