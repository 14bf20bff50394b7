internal import Bytes
internal import JSON

/// A JSON object as it is stored in Redis. Its last member is a hash of all bytes before it:
/// `…,"hash":"0123456789abcdef"}`.
///
/// The hash detects damage, not attacks. It covers the text instead of its meaning, and so it
/// includes members that a later version has added.
enum PersistentText {
    static let format = 1
    static let byteLimit = 1 << 20

    private static let hashName = Array(#","hash":""#.utf8)
    private static let hashDigits = 16
    private static let end = Array(#""}"#.utf8)

    /// - Parameter members: without the format and the hash.
    static func write(_ members: [JSONTree.ObjectMember]) -> String {
        var buffer = ByteBuffer()
        buffer.append(
            json: .object([JSONTree.ObjectMember("format", .integer(self.format))] + members))
        buffer.truncate(to: buffer.count - 1)
        let hash = self.hash(buffer.bytes[...])
        buffer.append(contentsOf: self.hashName)
        buffer.append(contentsOf: hash)
        buffer.append(contentsOf: self.end)
        return buffer.text
    }

    static func read(_ text: String) throws(PersistentTextError) -> JSONTree {
        let bytes = Array(text.utf8)
        guard bytes.count <= self.byteLimit else { throw .tooLong(limit: self.byteLimit) }
        let contentCount = bytes.count - self.hashName.count - self.hashDigits - self.end.count
        guard contentCount > 0 else { throw .damaged }
        let expected = self.hashName + self.hash(bytes[..<contentCount]) + self.end
        guard bytes[contentCount...].elementsEqual(expected) else { throw .damaged }
        let tree: JSONTree
        do throws(JSONError) {
            tree = try JSONTree(parsing: bytes.span.bytes, depthLimit: 8)
        } catch {
            throw .json(error)
        }
        let format = try tree.integer("format", in: 0...Int.max)
        guard format == self.format else { throw .unsupportedFormat(format) }
        return tree
    }

    private static func hash(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        let hash = StableHash.mix(bytes.withUnsafeBufferPointer { StableHash.fnv1a($0) })
        let digits = String(hash, radix: 16)
        return Array((String(repeating: "0", count: self.hashDigits - digits.count) + digits).utf8)
    }
}

extension JSONTree {
    /// A member that must exist and not be `null`.
    private func required(_ name: String) throws(PersistentTextError) -> JSONTree {
        guard let value = self[name], !value.isNull else {
            throw .invalidMember(name, "is missing")
        }
        return value
    }

    func integer(_ name: String, in range: ClosedRange<Int>) throws(PersistentTextError) -> Int {
        guard let number = try self.required(name).integerValue, range.contains(number) else {
            throw .invalidMember(
                name, "must be a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// A text without control characters.
    func text(_ name: String, bytes range: ClosedRange<Int>) throws(PersistentTextError) -> String {
        guard let text = try self.required(name).stringValue, range.contains(text.utf8.count),
            text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
        else {
            throw .invalidMember(
                name,
                "must be a text of \(range.lowerBound) to \(range.upperBound) bytes "
                    + "without control characters"
            )
        }
        return text
    }

    func optionalText(_ name: String, bytes range: ClosedRange<Int>) throws(PersistentTextError)
        -> String?
    {
        self[name]?.isNull ?? true ? nil : try self.text(name, bytes: range)
    }

    func incarnation(_ name: String) throws(PersistentTextError) -> UInt64 {
        try self.required(name).incarnation(of: name)
    }

    func list(_ name: String) throws(PersistentTextError) -> [JSONTree] {
        guard let elements = try self.required(name).elements else {
            throw .invalidMember(name, "must be a list")
        }
        return elements
    }

    /// This value as an incarnation. Incarnations are texts in base 36, as in `LoopID.description`,
    /// because most JSON parsers lose the last digits of such large numbers.
    func incarnation(of name: String) throws(PersistentTextError) -> UInt64 {
        guard let text = self.stringValue, let incarnation = UInt64(text, radix: 36),
            String(incarnation, radix: 36) == text
        else {
            throw .invalidMember(
                name, "an incarnation must be a text of digits and lowercase letters")
        }
        return incarnation
    }

    static func incarnation(_ incarnation: UInt64) -> JSONTree {
        .string(String(incarnation, radix: 36))
    }
}
