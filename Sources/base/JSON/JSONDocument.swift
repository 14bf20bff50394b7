/// A JSON text, parsed strictly in one pass (RFC 8259) into a flat list of values.
///
/// The list contains positions, so the caller passes the same bytes again to read a text or a
/// number. Values that are not read are not copied. A reused document allocates nothing once it has
/// grown.
///
/// Input that other parsers tolerate is rejected, because two parsers that disagree are a security
/// risk. This includes byte order marks, trailing commas, lone surrogates and content after the
/// value. If a name repeats in an object, the last member counts.
public struct JSONDocument: Sendable {
    /// One value. A container's members or elements follow it directly, so the next index is its
    /// first child.
    struct ValueNode: Sendable {
        /// The position of the raw text's first byte, and the position after its last one. Less
        /// than 2 GiB.
        var start: Int32
        var end: Int32
        /// The index after the value and all its children. While a container is open: the index of
        /// the container around it.
        var next: Int32
        var kind: JSONKind
        /// Whether a string has escapes, or a number has a fraction or an exponent.
        var hasEscapeOrFraction: Bool
    }

    var nodes: [ValueNode] = []
    let depthLimit: Int
    let valueLimit: Int

    /// - Parameters:
    ///   - depthLimit: the maximum nesting of objects and arrays.
    ///   - valueLimit: the maximum number of values, including member names. The document keeps at
    ///     most this many entries of 16 bytes.
    public init(depthLimit: Int = 32, valueLimit: Int = 65_536) {
        self.depthLimit = depthLimit
        self.valueLimit = min(valueLimit, Int(Int32.max))
    }

    /// The outermost value. It exists only after a successful `parse`.
    public var root: JSONValue {
        precondition(
            !self.nodes.isEmpty, "The root of a JSON document was read before a parse.")
        return JSONValue(index: 0)
    }

    public func kind(of value: JSONValue) -> JSONKind {
        self.nodes[Int(value.index)].kind
    }

    /// The range of the raw text, to forward it unchanged or to count its bytes.
    public func range(of value: JSONValue) -> Range<Int> {
        let node = self.nodes[Int(value.index)]
        return Int(node.start)..<Int(node.end)
    }

    /// The member with this name. Nil if there is none or if `object` is not an object.
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

    /// The member with this name, or nil if it is missing or `null`. For fields in which `null`
    /// means the same as a missing value.
    public func nonNullMember(_ name: StaticString, of object: JSONValue, in bytes: RawSpan)
        -> JSONValue?
    {
        guard let value = self.member(name, of: object, in: bytes), self.kind(of: value) != .null
        else { return nil }
        return value
    }

    /// The first element of the array. Nil if it is empty or not an array.
    public func firstElement(of array: JSONValue) -> JSONValue? {
        let parent = self.nodes[Int(array.index)]
        guard parent.kind == .array, array.index + 1 < parent.next else { return nil }
        return JSONValue(index: Int(array.index) + 1)
    }

    /// The element after `element` in `array`. Nil after the last one.
    public func element(after element: JSONValue, in array: JSONValue) -> JSONValue? {
        let next = self.nodes[Int(element.index)].next
        return next < self.nodes[Int(array.index)].next ? JSONValue(index: Int(next)) : nil
    }

    /// The first member of the object. Nil if it is empty or not an object.
    public func firstMember(of object: JSONValue) -> JSONMember? {
        let parent = self.nodes[Int(object.index)]
        guard parent.kind == .object, object.index + 1 < parent.next else { return nil }
        return JSONMember(
            name: JSONValue(index: Int(object.index) + 1),
            value: JSONValue(index: Int(object.index) + 2))
    }

    /// The member after `member` in `object`. Nil after the last one.
    public func member(after member: JSONMember, in object: JSONValue) -> JSONMember? {
        let next = self.nodes[Int(member.value.index)].next
        guard next < self.nodes[Int(object.index)].next else { return nil }
        return JSONMember(name: JSONValue(index: Int(next)), value: JSONValue(index: Int(next) + 1))
    }

    /// The number of elements or members. 0 for any other value. The cost is proportional to the
    /// result.
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

    /// Returns nil for all values except `true` and `false`.
    public func bool(_ value: JSONValue) -> Bool? {
        switch self.kind(of: value) {
        case .true: true
        case .false: false
        default: nil
        }
    }
}
