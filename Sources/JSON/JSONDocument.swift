/// A JSON text, read in one strict pass (RFC 8259) into a flat list of its values.
///
/// The list holds places, not contents: whoever asks for a text or a number hands in the same bytes again. So nothing is
/// copied that nobody reads, and a document that is used again allocates nothing once it is warm. What other readers let
/// pass or mend is refused, because two readers that differ are a hole: byte order marks, trailing commas, lone
/// surrogates, anything behind the value. Of members with the same name the last one counts.
public struct JSONDocument: Sendable {
    /// One value. A container's members or elements follow it directly, so its own place plus one is its first child.
    struct ValueNode: Sendable {
        /// The raw text's first byte and the byte behind it: below 2 GiB.
        var start: Int32
        var end: Int32
        /// The place behind the value and everything in it. While a container is open: the container around it.
        var next: Int32
        var kind: JSONKind
        /// A string with escapes; a number with a fraction or an exponent.
        var hasEscapeOrFraction: Bool
    }

    var nodes: [ValueNode] = []
    let depthLimit: Int
    let valueLimit: Int

    /// - Parameters:
    ///   - depthLimit: how many objects and arrays may stand inside each other.
    ///   - valueLimit: how many values there may be, members' names counted too. Storage for so many (16 bytes each) is the
    ///     most that a document keeps.
    public init(depthLimit: Int = 32, valueLimit: Int = 65_536) {
        self.depthLimit = depthLimit
        self.valueLimit = min(valueLimit, Int(Int32.max))
    }

    /// The outermost value. There is one only after a `parse` that did not throw.
    public var root: JSONValue {
        precondition(
            !self.nodes.isEmpty, "A JSON document was asked for its value before one was parsed.")
        return JSONValue(index: 0)
    }

    public func kind(of value: JSONValue) -> JSONKind {
        self.nodes[Int(value.index)].kind
    }

    /// Where the value's raw text stands: to pass it on as it was, or to count its bytes as received.
    public func range(of value: JSONValue) -> Range<Int> {
        let node = self.nodes[Int(value.index)]
        return Int(node.start)..<Int(node.end)
    }

    /// The member of that name; nil when there is none, and when `object` is no object.
    public func member(_ name: StaticString, of object: JSONValue, in bytes: RawSpan) -> JSONValue?
    {
        let parent = self.nodes[Int(object.index)]
        guard parent.kind == .object else { return nil }
        var found: JSONValue?
        var index = Int(object.index) + 1
        while index < Int(parent.next) {
            if self.equals(self.nodes[index], name, in: bytes) {
                found = JSONValue(index: index + 1)
            }
            index = Int(self.nodes[index + 1].next)
        }
        return found
    }

    /// The member of that name unless it is `null`: for fields where `null` means the same as nothing.
    public func nonNullMember(_ name: StaticString, of object: JSONValue, in bytes: RawSpan)
        -> JSONValue?
    {
        guard let value = self.member(name, of: object, in: bytes), self.kind(of: value) != .null
        else { return nil }
        return value
    }

    /// The array's first element; nil when it is empty or no array.
    public func firstElement(of array: JSONValue) -> JSONValue? {
        let parent = self.nodes[Int(array.index)]
        guard parent.kind == .array, array.index + 1 < parent.next else { return nil }
        return JSONValue(index: Int(array.index) + 1)
    }

    /// The element that follows `element` in `array`; nil behind the last one.
    public func element(after element: JSONValue, in array: JSONValue) -> JSONValue? {
        let next = self.nodes[Int(element.index)].next
        return next < self.nodes[Int(array.index)].next ? JSONValue(index: Int(next)) : nil
    }

    /// The object's first member; nil when it is empty or no object.
    public func firstMember(of object: JSONValue) -> JSONMember? {
        let parent = self.nodes[Int(object.index)]
        guard parent.kind == .object, object.index + 1 < parent.next else { return nil }
        return JSONMember(
            name: JSONValue(index: Int(object.index) + 1),
            value: JSONValue(index: Int(object.index) + 2))
    }

    /// The member that follows `member` in `object`; nil behind the last one.
    public func member(after member: JSONMember, in object: JSONValue) -> JSONMember? {
        let next = self.nodes[Int(member.value.index)].next
        guard next < self.nodes[Int(object.index)].next else { return nil }
        return JSONMember(name: JSONValue(index: Int(next)), value: JSONValue(index: Int(next) + 1))
    }

    /// How many elements an array or members an object has; 0 for any other value. Counts them one by one.
    public func count(of container: JSONValue) -> Int {
        let parent = self.nodes[Int(container.index)]
        guard parent.kind == .array || parent.kind == .object else { return 0 }
        var count = 0
        var index = Int(container.index) + 1
        while index < Int(parent.next) {
            if parent.kind == .object { index += 1 }
            index = Int(self.nodes[index].next)
            count += 1
        }
        return count
    }

    /// Nil for anything but `true` and `false`.
    public func bool(_ value: JSONValue) -> Bool? {
        switch self.kind(of: value) {
        case .true: true
        case .false: false
        default: nil
        }
    }
}
