public import Bytes
public import ChatModel

extension Limits {
    /// The bytes of a page that are left for its messages: the rest of the frame has ids and
    /// numbers.
    public var pagedMessageBytes: Int { max(0, self.pageBytes - 1024) }
}

extension ByteBuffer {
    /// Appends a JSON array of as many elements as fit, and of at least one.
    ///
    /// - Parameters:
    ///   - keepsLast: whether the last elements are kept, and not the first.
    ///   - bytes: the most bytes of the elements.
    /// - Returns: the number of elements.
    @discardableResult
    public mutating func append<Elements: Collection>(
        array elements: Elements, keepsLast: Bool = false, within bytes: Int,
        _ append: (inout ByteBuffer, Elements.Element) -> Void
    ) -> Int {
        self.append("[")
        let start = self.count
        var starts: [Int] = []
        for element in elements {
            if !starts.isEmpty { self.append(",") }
            starts.append(self.count)
            append(&self, element)
            if !keepsLast, starts.count > 1, self.count - start > bytes {
                // With the comma before it.
                self.truncate(to: starts.removeLast() - 1)
                break
            }
        }
        if self.count - start > bytes, starts.count > 1 {
            let first = starts.firstIndex { self.count - $0 <= bytes } ?? starts.count - 1
            self.bytes.removeSubrange(start..<starts[first])
            starts.removeFirst(first)
        }
        self.append("]")
        return starts.count
    }

    /// Appends the field with which a client continues after a page; nothing after the last page.
    ///
    /// - Parameter next: the message at the page's end.
    public mutating func append(
        nextPage next: SequenceNumber?, isForward: Bool = false, as form: MessageIDForm = .string
    ) {
        guard let next else { return }
        self.append(isForward ? #","next_after_id":"# : #","next_before_id":"#)
        self.append(messageID: next, as: form)
    }

    /// Appends the field with which a client continues a list of pinned messages.
    ///
    /// - Parameter shown: how many of the messages the list has.
    public mutating func append(nextPinAfter shown: Int, of messages: some Collection<Message>) {
        guard shown < messages.count, let last = messages.prefix(shown).reversed().first,
            let pin = last.body.annotations?.pin
        else { return }
        self.append(#","next_cursor":""#)
        self.append(decimal: pin.at.milliseconds)
        self.append(#"""#)
    }
}

extension [Message] {
    /// The pinned messages after the cursor of a list that ended there.
    ///
    /// - Parameter cursor: the milliseconds of a pin, each of which has its own; 0 for all.
    public func pins(after cursor: Int) -> ArraySlice<Message> {
        cursor == 0
            ? self[...]
            : self.drop { $0.body.annotations?.pin?.at.milliseconds ?? 0 >= cursor }
    }
}

extension MessagePage {
    /// The messages from the first to the last one of a page that shows only some of its messages.
    public func shown(_ count: Int, isForward: Bool) -> ClosedRange<SequenceNumber>? {
        let messages = isForward ? self.messages.prefix(count) : self.messages.suffix(count)
        guard let first = messages.first, let last = messages.last else { return nil }
        return first.sequence...last.sequence
    }

    /// The message at which a page ends that shows only some of its messages; nil if the range has
    /// no further ones.
    public func next(afterShowing count: Int, isForward: Bool) -> SequenceNumber? {
        guard self.hasMore || count < self.messages.count else { return nil }
        return
            (isForward ? self.messages.prefix(count).last : self.messages.suffix(count).first)?
            .sequence
    }
}
