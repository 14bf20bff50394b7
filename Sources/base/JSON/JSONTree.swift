public import Bytes

/// A complete JSON value. For data that is rarely read or written (configuration, key sets, claims,
/// the admin API), where convenience is more important than speed.
public indirect enum JSONTree: Sendable, Hashable {
    case null
    case bool(Bool)
    /// The number as it was written, so no digit is lost.
    case number(String)
    case string(String)
    case array([JSONTree])
    /// The members in the order of the text. Names may repeat.
    case object([ObjectMember])

    public struct ObjectMember: Sendable, Hashable {
        public let name: String
        public let value: JSONTree

        public init(_ name: String, _ value: JSONTree) {
            self.name = name
            self.value = value
        }
    }

    public static func integer(_ number: some FixedWidthInteger) -> JSONTree {
        .number(String(number))
    }

    /// The member with this name, compared byte by byte. If the name repeats, the last one. Nil if
    /// there is none or if this is not an object.
    public subscript(name: String) -> JSONTree? {
        self.members?.last { $0.name.utf8.elementsEqual(name.utf8) }?.value
    }

    public var isNull: Bool { self == .null }

    public var boolValue: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    public var stringValue: String? {
        if case .string(let text) = self { text } else { nil }
    }

    /// The number, if it is written as an integer and fits.
    public var integerValue: Int? {
        if case .number(let text) = self { Int(text) } else { nil }
    }

    /// The nearest `Double`, if the number is in its range.
    public var doubleValue: Double? {
        guard case .number(let text) = self, let number = Double(text), number.isFinite else {
            return nil
        }
        return number
    }

    public var elements: [JSONTree]? {
        if case .array(let elements) = self { elements } else { nil }
    }

    public var members: [ObjectMember]? {
        if case .object(let members) = self { members } else { nil }
    }
}

extension JSONTree {
    /// Parses a complete JSON text, as strictly as `JSONDocument`.
    public init(parsing bytes: RawSpan, depthLimit: Int = 32, valueLimit: Int = 65_536)
        throws(JSONError)
    {
        var document = JSONDocument(depthLimit: depthLimit, valueLimit: valueLimit)
        try document.parse(bytes)
        self = document.tree(document.root, in: bytes)
    }

    /// Parses a complete JSON text, as strictly as `JSONDocument`.
    public init(parsing text: String, depthLimit: Int = 32, valueLimit: Int = 65_536)
        throws(JSONError)
    {
        let bytes = Array(text.utf8)
        try self.init(parsing: bytes.span.bytes, depthLimit: depthLimit, valueLimit: valueLimit)
    }

    /// The value as JSON without whitespace.
    public var text: String {
        var buffer = ByteBuffer()
        buffer.append(json: self)
        return buffer.text
    }

    /// The value as JSON for people: one member or element on each line, with two spaces for each
    /// level.
    public var indentedText: String { self.indented(by: "") }

    private func indented(by space: String) -> String {
        let inner = space + "  "
        func lines(_ parts: [String], _ open: String, _ close: String) -> String {
            "\(open)\n" + parts.map { inner + $0 }.joined(separator: ",\n") + "\n\(space)\(close)"
        }
        switch self {
        case .array(let elements) where !elements.isEmpty:
            return lines(elements.map { $0.indented(by: inner) }, "[", "]")
        case .object(let members) where !members.isEmpty:
            return lines(
                members.map {
                    "\(JSONTree.string($0.name).text): \($0.value.indented(by: inner))"
                }, "{", "}")
        default: return self.text
        }
    }
}

extension JSONDocument {
    /// Copies the value with all its children.
    public func tree(_ value: JSONValue, in bytes: RawSpan) -> JSONTree {
        switch self.kind(of: value) {
        case .null:
            return .null
        case .true:
            return .bool(true)
        case .false:
            return .bool(false)
        case .number:
            return .number(
                bytes.extracting(self.range(of: value)).withUnsafeBytes {
                    String(decoding: $0, as: UTF8.self)
                })
        case .string:
            return .string(self.string(value, in: bytes) ?? "")
        case .array:
            var elements: [JSONTree] = []
            var next = self.firstElement(of: value)
            while let element = next {
                elements.append(self.tree(element, in: bytes))
                next = self.element(after: element, in: value)
            }
            return .array(elements)
        case .object:
            var members: [JSONTree.ObjectMember] = []
            var next = self.firstMember(of: value)
            while let member = next {
                members.append(
                    JSONTree.ObjectMember(
                        self.string(member.name, in: bytes) ?? "",
                        self.tree(member.value, in: bytes)))
                next = self.member(after: member, in: value)
            }
            return .object(members)
        }
    }
}

extension ByteBuffer {
    /// Appends the value as JSON without whitespace.
    public mutating func append(json tree: JSONTree) {
        switch tree {
        case .null: self.append("null")
        case .bool(let value): self.append(value ? "true" : "false")
        case .number(let text): self.append(text: text)
        case .string(let text): self.append(jsonString: text)
        case .array(let elements):
            self.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { self.append(UInt8(ascii: ",")) }
                self.append(json: element)
            }
            self.append(UInt8(ascii: "]"))
        case .object(let members):
            self.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { self.append(UInt8(ascii: ",")) }
                self.append(jsonString: member.name)
                self.append(UInt8(ascii: ":"))
                self.append(json: member.value)
            }
            self.append(UInt8(ascii: "}"))
        }
    }
}

extension JSONTree: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral,
    ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int) { self = .integer(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(arrayLiteral elements: JSONTree...) { self = .array(elements) }
    public init(dictionaryLiteral members: (String, JSONTree)...) {
        self = .object(members.map { ObjectMember($0.0, $0.1) })
    }
    public init(nilLiteral: ()) { self = .null }
}
