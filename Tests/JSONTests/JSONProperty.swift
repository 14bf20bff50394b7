import Bytes
import JSON

/// Properties that hold for any bytes. The fuzzer (`script/fuzz json`) and the corpus in the
/// ordinary tests supply the bytes.
enum JSONProperty {
    /// Returns whether the bytes are JSON. A violation ends the process.
    @discardableResult
    static func check(_ bytes: [UInt8]) -> Bool {
        var document = JSONDocument()
        do throws(JSONError) {
            try document.parse(bytes.span.bytes)
        } catch {
            precondition(error.offset <= bytes.count, "An error is outside of the text: \(error)")
            return false
        }
        let tree = document.tree(document.root, in: bytes.span.bytes)
        self.check(document.root, tree, document, bytes)

        var written = ByteBuffer()
        written.append(json: tree)
        var reparsed: JSONTree?
        do throws(JSONError) {
            reparsed = try JSONTree(parsing: written.bytes.span.bytes)
        } catch {
            preconditionFailure("The written JSON cannot be parsed: \(error) \(written.text)")
        }
        precondition(
            reparsed == tree && reparsed?.text == written.text,
            "The written JSON is parsed to another value: \(written.text)")
        return true
    }

    private static func check(
        _ value: JSONValue, _ tree: JSONTree, _ document: JSONDocument, _ bytes: [UInt8]
    ) {
        let range = document.range(of: value)
        precondition(
            range.lowerBound < range.upperBound && range.upperBound <= bytes.count,
            "A value is outside of the text.")
        switch tree {
        case .string(let text):
            precondition(
                text.utf8.count == document.decodedByteCount(value, in: bytes.span.bytes),
                "A string's length is wrong: \(text)")
        case .number(let text):
            _ = document.double(value, in: bytes.span.bytes)
            if let number = document.integer(value, in: bytes.span.bytes) {
                precondition(
                    String(number) == text || text == "-0",
                    "An integer is parsed to another number: \(text)"
                )
            }
        case .array(let elements):
            precondition(
                document.count(of: value) == elements.count, "The count of an array is wrong.")
            var next = document.firstElement(of: value)
            for element in elements {
                guard let current = next else { preconditionFailure("An array ends too early.") }
                self.check(current, element, document, bytes)
                next = document.element(after: current, in: value)
            }
        case .object(let members):
            precondition(
                document.count(of: value) == members.count, "The count of an object is wrong.")
            var next = document.firstMember(of: value)
            for member in members {
                guard let current = next else { preconditionFailure("An object ends too early.") }
                self.check(current.value, member.value, document, bytes)
                next = document.member(after: current, in: value)
            }
        case .null, .bool:
            break
        }
    }
}
