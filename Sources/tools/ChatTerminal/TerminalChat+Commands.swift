import ConfabClient
import EventLoop

/// Commands of the user.
extension TerminalChat {
    /// The commands that this protocol supports, and the signs of the screen.
    private var help: [TermEntry] {
        var entries = [
            TermEntry(term: "/join ID", text: "open another conversation"),
            TermEntry(term: "/switch ID", text: "change the conversation; a number works too"),
            TermEntry(term: "/list", text: "list the open conversations with new messages"),
            TermEntry(term: "/close", text: "close this conversation here; you remain a member"),
            TermEntry(term: "/leave", text: "end your membership of this conversation"),
            TermEntry(term: "/members", text: "list the members"),
        ]
        if self.supports(.presence) {
            entries.append(TermEntry(term: "/who", text: "list the users online"))
        }
        if self.supports(.history) {
            entries.append(
                TermEntry(term: "/history N", text: "show the last N messages (1 to 100)"))
        }
        if self.supports(.directMessages) {
            entries.append(TermEntry(term: "/to NAME TEXT", text: "send a message to one agent"))
        }
        if self.supports(.edits) {
            entries.append(TermEntry(term: "/edit ID TEXT", text: "edit your own message"))
            entries.append(TermEntry(term: "/delete ID", text: "delete your own message"))
        }
        if self.supports(.messageFeatures) { entries += Self.featureHelp }
        entries += [
            TermEntry(term: "/quit", text: "quit; the end of the input also quits"),
            TermEntry(term: "//TEXT", text: "send a line that begins with a slash"),
        ]
        guard self.settings.isInteractive else { return entries }
        return entries + [
            TermEntry(term: "Alt-Enter", text: "begin a new line; Enter sends all lines"),
            TermEntry(term: "Ctrl-U", text: "discard the text before the cursor"),
            TermEntry(term: "Ctrl-L", text: "redraw the screen"),
            TermEntry(term: "…", text: "your newest message is being sent"),
            TermEntry(term: "✓", text: "the server has stored it"),
            TermEntry(term: "✓✓", text: "another member has received it"),
            TermEntry(term: "✓✓ read", text: "another member has read it"),
        ]
    }

    mutating func execute(
        _ line: String, at now: MonotonicTime, into steps: inout [TerminalStep]
    ) {
        let words = line.split(separator: " ", maxSplits: 1)
        let argument = words.count > 1 ? String(words[1].drop { $0 == " " }) : ""
        switch words[0] {
        case "/quit":
            self.inputHasEnded = true
            self.quitsAt = now.advanced(by: Self.quitTimeout)
        case "/help": self.show(.list(self.help), into: &steps)
        case "/join": self.join(argument, into: &steps)
        case "/switch": self.switchTo(argument, into: &steps)
        case "/list": self.show(.list(self.roomList), into: &steps)
        case "/close": self.close(into: &steps)
        case "/leave" where self.current.id.isEmpty, "/members" where self.current.id.isEmpty:
            self.reject("An inbox has no members.", into: &steps)
        case "/leave": self.leave(into: &steps)
        case "/members": self.request(.members, into: &steps)
        case "/who" where self.supports(.presence):
            self.show(.notice(self.current.presence.summary), into: &steps)
        case "/history" where self.supports(.history):
            guard let count = argument.isEmpty ? Self.historyLimit : Int(argument),
                (1...100).contains(count)
            else { return self.reject("/history takes a number from 1 to 100.", into: &steps) }
            self.request(.history(count), into: &steps)
        case "/to" where self.supports(.directMessages): self.sendDirect(argument, into: &steps)
        case "/edit" where self.supports(.edits):
            let parts = argument.split(separator: " ", maxSplits: 1)
            guard parts.count == 2, let id = Self.messageID(parts[0]) else {
                return self.reject(
                    "/edit takes a message's number and its new text: /edit 12 hello",
                    into: &steps)
            }
            self.request(.edit(id, String(parts[1])), into: &steps)
        case "/delete" where self.supports(.edits):
            guard let id = Self.messageID(Substring(argument)) else {
                return self.reject("/delete takes a message's number: /delete 12", into: &steps)
            }
            self.request(.delete(id), into: &steps)
        case let name where Self.featureCommands.contains(name) && self.supports(.messageFeatures):
            self.executeFeature(name, argument, into: &steps)
        case "/who", "/history", "/to", "/edit", "/delete", "/reply", "/react", "/unreact",
            "/thread", "/pin", "/unpin", "/pins", "/search":
            self.reject(
                """
                The \(self.settings.dialect.title) protocol does not support \(words[0]); /help \
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

    static func messageID(_ text: Substring) -> Int? {
        let digits = text.hasPrefix("#") ? text.dropFirst() : text
        return Int(digits).flatMap { $0 > 0 ? $0 : nil }
    }

    mutating func request(_ action: RoomAction, into steps: inout [TerminalStep]) {
        self.current.pendingCommands += 1
        self.act(action, into: &steps)
    }

    private mutating func sendDirect(_ argument: String, into steps: inout [TerminalStep]) {
        let parts = argument.split(separator: " ", maxSplits: 1)
        guard parts.count == 2,
            parts[1].unicodeScalars.contains(where: { !$0.properties.isWhitespace })
        else {
            return self.reject(
                "/to takes an agent's name and a text: /to bob hello", into: &steps)
        }
        self.post(String(parts[1]), to: String(parts[0]), into: &steps)
    }

    // MARK: Conversations

    /// One line per conversation: its number, state and new messages.
    private var roomList: [TermEntry] {
        self.rooms.enumerated().map { index, room in
            let unread = room.unreadCount == 0 ? "no new messages" : "\(room.unreadCount) new"
            let state = room.connectionText.map { ", \($0)" } ?? ""
            let mark = index == self.currentIndex ? "this one" : unread
            return TermEntry(term: "\(index + 1) \(room.label)", text: mark + state)
        }
    }

    private mutating func join(_ id: String, into steps: inout [TerminalStep]) {
        let allowed = id.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: ":"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        guard allowed, (1...128).contains(id.utf8.count) else {
            return self.reject(
                "/join takes the id of a conversation (A-Z a-z 0-9 . _ : -): /join lobby",
                into: &steps)
        }
        if let index = self.rooms.firstIndex(where: { $0.id == id }) {
            return self.show(room: index, into: &steps)
        }
        self.rooms.append(TerminalRoom(id, self.current.capabilities))
        steps.append(.open(id))
        self.show(room: self.rooms.count - 1, into: &steps)
    }

    private mutating func switchTo(_ name: String, into steps: inout [TerminalStep]) {
        let index =
            self.rooms.firstIndex { $0.id == name }
            ?? Int(name).map { $0 - 1 }.flatMap { self.rooms.indices.contains($0) ? $0 : nil }
        guard let index else {
            return self.reject(
                "/switch takes a conversation of /list, by its id or number: /switch 2",
                into: &steps)
        }
        self.show(room: index, into: &steps)
    }

    private mutating func close(into steps: inout [TerminalStep]) {
        guard self.rooms.count > 1 else {
            return self.reject("This is the only open conversation; /quit quits.", into: &steps)
        }
        guard self.allLinesAreSent("/close", into: &steps) else { return }
        self.act(.close, into: &steps)
        self.removeRoom(self.currentIndex, into: &steps)
    }

    /// Ends the user's membership. The server may end the connection before it answers.
    private mutating func leave(into steps: inout [TerminalStep]) {
        guard self.allLinesAreSent("/leave", into: &steps) else { return }
        self.current.isLeaving = true
        self.request(.leave, into: &steps)
    }

    private mutating func allLinesAreSent(
        _ command: String, into steps: inout [TerminalStep]
    ) -> Bool {
        if self.current.unsent.isEmpty { return true }
        self.reject("Some lines are not sent yet; \(command) again when they are.", into: &steps)
        return false
    }

    /// The user is no member any more. The chat ends with its last conversation.
    mutating func left(_ index: Int, into steps: inout [TerminalStep]) {
        let notice = ChatLine.notice("You have left \(self.rooms[index].label).")
        guard self.rooms.count > 1 else {
            self.show(notice, into: &steps)
            return self.exit(into: &steps)
        }
        steps.append(.act(.close, in: self.rooms[index].id))
        self.removeRoom(index, into: &steps)
        self.show(notice, into: &steps)
    }

    mutating func removeRoom(_ index: Int, into steps: inout [TerminalStep]) {
        self.rooms.remove(at: index)
        if index < self.currentIndex { self.currentIndex -= 1 }
        self.show(room: min(self.currentIndex, self.rooms.count - 1), into: &steps)
    }

    /// Makes a conversation the current one, and shows its newest lines.
    mutating func show(room index: Int, into steps: inout [TerminalStep]) {
        self.currentIndex = index
        self.current.unreadCount = 0
        steps.append(.redraw)
    }
}
