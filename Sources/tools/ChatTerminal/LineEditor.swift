/// The input of a terminal in raw mode: key presses become changes of the text.
///
/// Pasted text keeps its line breaks: Enter sends all of it as one message.
struct LineEditor {
    enum Event: Equatable {
        case changed
        case submitted(String)
        /// Ctrl-D on an empty line.
        case ended
        /// Ctrl-L.
        case redraw
    }

    private(set) var characters: [Character] = []
    /// The index of the character behind the cursor.
    private(set) var cursor = 0

    private var history: [String] = []
    /// The history entry that is displayed; the entry count stands for the line being typed.
    private var historyIndex = 0
    private var draft = ""
    private var pending: [UInt8] = []
    /// Whether the terminal marks the bytes as pasted.
    private var isPasting = false
    private var lastPasted: UInt8?

    private static let historyLimit = 100
    /// More than a server accepts as a message.
    private static let byteLimit = 64 << 10
    private var byteCount = 0

    var text: String { String(self.characters) }

    /// Processes input bytes. Incomplete characters and escape sequences wait for the rest.
    mutating func process(_ bytes: some Sequence<UInt8>, into events: inout [Event]) {
        self.pending += bytes
        var index = 0
        while index < self.pending.count,
            let count = self.processKey(self.pending[index...], into: &events)
        { index += count }
        self.pending.removeFirst(index)
    }

    /// Processes the first key of `bytes`. Returns its length in bytes, or nil if it is incomplete.
    private mutating func processKey(_ bytes: ArraySlice<UInt8>, into events: inout [Event]) -> Int?
    {
        guard let first = bytes.first else { return nil }
        if self.isPasting, first < 0x20, first != 0x1B {
            self.paste(control: first, into: &events)
            return 1
        }
        if self.isPasting, first != 0x1B { self.lastPasted = first }
        switch first {
        case 0x0D, 0x0A: self.submit(into: &events)
        case 0x7F, 0x08: self.remove(self.cursor - 1..<self.cursor, into: &events)
        case 0x01: self.move(to: 0, into: &events)
        case 0x05: self.move(to: self.characters.count, into: &events)
        case 0x02: self.move(to: self.cursor - 1, into: &events)
        case 0x06: self.move(to: self.cursor + 1, into: &events)
        case 0x04 where self.characters.isEmpty: events.append(.ended)
        case 0x04: self.remove(self.cursor..<self.cursor + 1, into: &events)
        case 0x0B: self.remove(self.cursor..<self.characters.count, into: &events)
        case 0x0C: events.append(.redraw)
        case 0x15: self.remove(0..<self.cursor, into: &events)
        case 0x17: self.removeWord(into: &events)
        case 0x0E: self.recall(self.historyIndex + 1, into: &events)
        case 0x10: self.recall(self.historyIndex - 1, into: &events)
        case 0x1B: return self.processEscape(bytes, into: &events)
        case 0x09: self.insert(" ", into: &events)
        case 0x00...0x1F: break
        case 0x20...0x7E: self.insert(Character(Unicode.Scalar(first)), into: &events)
        default: return self.processNonASCII(bytes, into: &events)
        }
        return 1
    }

    /// A pasted text has line breaks and tabs, and no other control characters.
    private mutating func paste(control: UInt8, into events: inout [Event]) {
        defer { self.lastPasted = control }
        switch control {
        case 0x0A where self.lastPasted == 0x0D: break
        case 0x0A, 0x0D: self.insert("\n", into: &events)
        case 0x09: self.insert("\t", into: &events)
        default: break
        }
    }

    /// The line break at the end of a pasted text is not part of the message.
    private mutating func endPaste(into events: inout [Event]) {
        self.isPasting = false
        if self.lastPasted == 0x0A || self.lastPasted == 0x0D, self.cursor > 0,
            self.characters[self.cursor - 1] == "\n"
        {
            self.remove(self.cursor - 1..<self.cursor, into: &events)
        }
    }

    private mutating func processNonASCII(_ bytes: ArraySlice<UInt8>, into events: inout [Event])
        -> Int?
    {
        let length =
            bytes[bytes.startIndex].leadingZeroBitCount == 0
            ? (~bytes[bytes.startIndex]).leadingZeroBitCount : 1
        guard (2...4).contains(length) else { return 1 }
        guard bytes.count >= length else { return nil }
        guard let text = String(validating: bytes.prefix(length), as: UTF8.self),
            let scalar = text.unicodeScalars.first
        else { return 1 }
        // A combining mark or a joined character forms one character with the one before the
        // cursor.
        if self.cursor > 0 {
            let joined = String(self.characters[self.cursor - 1]) + text
            if joined.count == 1 {
                self.characters[self.cursor - 1] = Character(joined)
                self.byteCount += length
                events.append(.changed)
                return length
            }
        }
        if scalar.properties.generalCategory != .control {
            self.insert(Character(text), into: &events)
        }
        return length
    }

    /// Keys that send several bytes (ECMA-48): an escape and a letter, or a control sequence.
    private mutating func processEscape(_ bytes: ArraySlice<UInt8>, into events: inout [Event])
        -> Int?
    {
        let keys = Array(bytes.prefix(16))
        guard keys.count > 1 else { return nil }
        // Alt-Enter.
        if keys[1] == 0x0D || keys[1] == 0x0A {
            self.insert("\n", into: &events)
            return 2
        }
        guard keys[1] == UInt8(ascii: "[") || keys[1] == UInt8(ascii: "O") else { return 2 }
        guard let end = keys.indices.dropFirst(2).first(where: { (0x40...0x7E).contains(keys[$0]) })
        else {
            return keys.count == 16 ? 16 : nil
        }
        // The only key in a pasted text is its end.
        let parameters = String(decoding: keys[2..<end], as: UTF8.self)
        if keys[end] == UInt8(ascii: "~"), parameters == "201" {
            self.endPaste(into: &events)
            return end + 1
        }
        guard !self.isPasting else { return end + 1 }
        if keys[end] == UInt8(ascii: "~"), parameters == "200" {
            self.isPasting = true
            self.lastPasted = nil
            return end + 1
        }
        switch (keys[end], keys[2..<end].first) {
        case (UInt8(ascii: "A"), _): self.recall(self.historyIndex - 1, into: &events)
        case (UInt8(ascii: "B"), _): self.recall(self.historyIndex + 1, into: &events)
        case (UInt8(ascii: "C"), _): self.move(to: self.cursor + 1, into: &events)
        case (UInt8(ascii: "D"), _): self.move(to: self.cursor - 1, into: &events)
        case (UInt8(ascii: "H"), _), (UInt8(ascii: "~"), UInt8(ascii: "1")),
            (UInt8(ascii: "~"), UInt8(ascii: "7")):
            self.move(to: 0, into: &events)
        case (UInt8(ascii: "F"), _), (UInt8(ascii: "~"), UInt8(ascii: "4")),
            (UInt8(ascii: "~"), UInt8(ascii: "8")):
            self.move(to: self.characters.count, into: &events)
        case (UInt8(ascii: "~"), UInt8(ascii: "3")):
            self.remove(self.cursor..<self.cursor + 1, into: &events)
        default: break
        }
        return end + 1
    }

    private mutating func insert(_ character: Character, into events: inout [Event]) {
        guard self.byteCount + character.utf8.count <= Self.byteLimit else { return }
        self.characters.insert(character, at: self.cursor)
        self.byteCount += character.utf8.count
        self.cursor += 1
        events.append(.changed)
    }

    private mutating func remove(_ range: Range<Int>, into events: inout [Event]) {
        let range = range.clamped(to: 0..<self.characters.count)
        guard !range.isEmpty else { return }
        self.byteCount -= self.characters[range].reduce(0) { $0 + $1.utf8.count }
        self.characters.removeSubrange(range)
        self.cursor = range.lowerBound
        events.append(.changed)
    }

    private mutating func removeWord(into events: inout [Event]) {
        var start = self.cursor
        while start > 0, self.characters[start - 1] == " " { start -= 1 }
        while start > 0, self.characters[start - 1] != " " { start -= 1 }
        self.remove(start..<self.cursor, into: &events)
    }

    private mutating func move(to index: Int, into events: inout [Event]) {
        let index = min(max(index, 0), self.characters.count)
        guard index != self.cursor else { return }
        self.cursor = index
        events.append(.changed)
    }

    private mutating func submit(into events: inout [Event]) {
        let text = self.text
        if !text.isEmpty, self.history.last != text {
            self.history.append(text)
            if self.history.count > Self.historyLimit { self.history.removeFirst() }
        }
        self.historyIndex = self.history.count
        self.replaceText("")
        events.append(.submitted(text))
    }

    private mutating func recall(_ index: Int, into events: inout [Event]) {
        guard index != self.historyIndex, (0...self.history.count).contains(index) else { return }
        if self.historyIndex == self.history.count { self.draft = self.text }
        self.historyIndex = index
        self.replaceText(index == self.history.count ? self.draft : self.history[index])
        events.append(.changed)
    }

    private mutating func replaceText(_ text: String) {
        self.characters = Array(text)
        self.byteCount = text.utf8.count
        self.cursor = self.characters.count
    }
}
