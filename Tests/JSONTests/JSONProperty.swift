import Bytes
import JSON

/// What must hold of any bytes: fed by the fuzzer (`script/fuzz json`) and by the corpus in the ordinary tests.
enum JSONProperty {
    /// Whether the bytes are JSON; stops the process when a rule is broken.
    @discardableResult
    static func check(_ bytes: [UInt8]) -> Bool {
        var document = JSONDocument()
        do throws(JSONError) {
            try document.parse(bytes.span.bytes)
        } catch {
            precondition(error.offset <= bytes.count, "An error lies outside of the text: \(error)")
            return false
        }
        let tree = document.tree(document.root, in: bytes.span.bytes)
        self.check(document.root, tree, document, bytes)

        var written = ByteBuffer()
        written.append(json: tree)
        var again: JSONTree?
        do throws(JSONError) {
            again = try JSONTree(parsing: written.bytes.span.bytes)
        } catch {
            preconditionFailure("What was written cannot be read: \(error) \(written.text)")
        }
        precondition(
            again == tree && again?.text == written.text,
            "What was written is read as something else: \(written.text)")
        return true
    }

    private static func check(
        _ value: JSONValue, _ tree: JSONTree, _ document: JSONDocument, _ bytes: [UInt8]
    ) {
        let range = document.range(of: value)
        precondition(
            range.lowerBound < range.upperBound && range.upperBound <= bytes.count,
            "A value lies outside of the text.")
        switch tree {
        case .string(let text):
            precondition(
                text.utf8.count == document.decodedByteCount(value, in: bytes.span.bytes),
                "A string's length is wrong: \(text)")
        case .number(let text):
            _ = document.double(value, in: bytes.span.bytes)
            if let number = document.integer(value, in: bytes.span.bytes) {
                precondition(
                    String(number) == text || text == "-0", "An integer is read as another: \(text)"
                )
            }
        case .array(let elements):
            precondition(
                document.count(of: value) == elements.count, "An array is counted wrongly.")
            var next = document.firstElement(of: value)
            for element in elements {
                guard let place = next else { preconditionFailure("An array ends too early.") }
                self.check(place, element, document, bytes)
                next = document.element(after: place, in: value)
            }
        case .object(let members):
            precondition(
                document.count(of: value) == members.count, "An object is counted wrongly.")
            var next = document.firstMember(of: value)
            for member in members {
                guard let place = next else { preconditionFailure("An object ends too early.") }
                self.check(place.value, member.value, document, bytes)
                next = document.member(after: place, in: value)
            }
        case .null, .bool:
            break
        }
    }
}
