import EventLoop

/// What is typed.
extension ChatSession {
    /// The commands that the protocol has words for.
    private var help: String {
        var lines: [(String, String)] = []
        if self.can(.presence) || self.can(.members) {
            lines.append(("/who", self.can(.presence) ? "who is here" : "who belongs to the conversation"))
        }
        if self.can(.history) { lines.append(("/history N", "the last N messages (1 to 100)")) }
        if self.can(.directMessages) { lines.append(("/to NAME TEXT", "a message for that agent alone")) }
        if self.can(.edits) {
            lines.append(("/edit ID TEXT", "changes a message of your own"))
            lines.append(("/delete ID", "deletes a message of your own"))
        }
        lines.append(("/quit", "leaves; so does the end of the input"))
        lines.append(("//TEXT", "sends a line that begins with a slash"))
        return lines.map { $0.0 + String(repeating: " ", count: 18 - $0.0.count) + $0.1 }.joined(separator: "\n")
    }

    mutating func typed(_ line: String, at now: MonotonicTime, into steps: inout [ChatStep]) {
        // The server refuses what is only white space.
        guard line.unicodeScalars.contains(where: { !$0.properties.isWhitespace }) else { return }
        if line.hasPrefix("//") {
            self.say(String(line.dropFirst()), at: now, into: &steps)
        } else if line.hasPrefix("/") {
            self.obey(line, at: now, into: &steps)
        } else {
            self.say(line, at: now, into: &steps)
        }
    }

    /// No more will be typed: one leaves as soon as everything is answered.
    mutating func inputEnded(at now: MonotonicTime) {
        self.inputHasEnded = true
        if self.settings.isInteractive { self.quitsAt = self.quitsAt ?? now.advanced(by: Self.quitPatience) }
    }

    /// A person changes the line that is not sent yet.
    mutating func editing(_ line: String, at now: MonotonicTime, into steps: inout [ChatStep]) {
        guard self.can(.typing), self.hasEntered, self.mayTalk else { return }
        let isTyping = !line.isEmpty && !line.hasPrefix("/")
        if isTyping {
            // Others forget it after 6 s.
            if let told = self.toldTypingAt, now.since(told) < .seconds(4) { return }
            self.toldTypingAt = now
            self.express(.typing(true), into: &steps)
        } else if self.toldTypingAt != nil {
            self.toldTypingAt = nil
            self.express(.typing(false), into: &steps)
        }
    }

    private mutating func say(_ text: String, to: String? = nil, at now: MonotonicTime, into steps: inout [ChatStep]) {
        self.outbox.add(text, to: to, prefix: self.settings.localIDPrefix)
        self.toldTypingAt = nil
        self.sendNext(at: now, into: &steps)
    }

    /// Sends the line whose turn it is.
    mutating func sendNext(at now: MonotonicTime, into steps: inout [ChatStep]) {
        guard self.mayTalk, let line = self.outbox.takeNext(at: now) else { return }
        self.express(.send(line), into: &steps)
    }

    private mutating func obey(_ line: String, at now: MonotonicTime, into steps: inout [ChatStep]) {
        let words = line.split(separator: " ", maxSplits: 1)
        let rest = words.count > 1 ? String(words[1].drop { $0 == " " }) : ""
        switch words[0] {
        case "/quit":
            self.inputHasEnded = true
            self.quitsAt = now.advanced(by: Self.quitPatience)
        case "/help":
            steps.append(.show(.notice(self.help)))
        case "/who" where self.can(.presence):
            steps.append(.show(.notice(self.presence.sentence)))
        case "/who" where self.can(.members):
            self.ask(.members, into: &steps)
        case "/history" where self.can(.history):
            guard let count = rest.isEmpty ? Self.historyLimit : Int(rest), (1...100).contains(count) else {
                return self.refuse("/history takes a number from 1 to 100.", into: &steps)
            }
            self.ask(.history(count), into: &steps)
        case "/to" where self.can(.directMessages):
            let parts = rest.split(separator: " ", maxSplits: 1)
            guard parts.count == 2, parts[1].unicodeScalars.contains(where: { !$0.properties.isWhitespace }) else {
                return self.refuse("/to takes an agent's name and a text: /to bob hello", into: &steps)
            }
            self.say(String(parts[1]), to: String(parts[0]), at: now, into: &steps)
        case "/edit" where self.can(.edits):
            let parts = rest.split(separator: " ", maxSplits: 1)
            guard parts.count == 2, let id = Self.messageID(parts[0]) else {
                return self.refuse("/edit takes a message's number and the text that it is to have: /edit 12 hello", into: &steps)
            }
            self.ask(.edit(id, String(parts[1])), into: &steps)
        case "/delete" where self.can(.edits):
            guard let id = Self.messageID(Substring(rest)) else {
                return self.refuse("/delete takes a message's number: /delete 12", into: &steps)
            }
            self.ask(.delete(id), into: &steps)
        case "/who", "/history", "/to", "/edit", "/delete":
            self.refuse("The \(self.dialect.dialect.name) protocol has nothing for \(words[0]); /help lists what it has.", into: &steps)
        default:
            let name = SafeText.line(String(words[0]), limit: 30)
            self.refuse(
                "There is no command \(name); /help lists them. To send a line that begins with a slash, begin it with two.", into: &steps)
        }
    }

    private static func messageID(_ text: Substring) -> Int? {
        let digits = text.hasPrefix("#") ? text.dropFirst() : text
        return Int(digits).flatMap { $0 > 0 ? $0 : nil }
    }

    private mutating func ask(_ question: ClientWish, into steps: inout [ChatStep]) {
        self.questions.append(question)
        if self.mayTalk { self.express(question, into: &steps) }
    }

    private mutating func refuse(_ sentence: String, into steps: inout [ChatStep]) {
        self.failedCount += 1
        steps.append(.show(.trouble(sentence)))
    }
}
