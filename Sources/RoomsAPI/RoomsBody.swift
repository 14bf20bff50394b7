internal import Bytes
internal import DialectKit
internal import Gateway
internal import HTTPWire
internal import Identity
internal import JSON

/// The body of a request: a JSON object, parsed strictly.
struct RoomsBody {
    private let document: JSONDocument
    private let bytes: [UInt8]

    static let titleLimit = 200
    static let descriptionLimit = 2000

    init(_ request: HTTPRequest, _ bytes: [UInt8]) throws(HTTPError) {
        guard Self.isJSON(request.contentType) else {
            throw HTTPError(.unsupportedMediaType, "Content-Type: must be application/json")
        }
        var document = JSONDocument(depthLimit: request.jsonDepth)
        do throws(JSONError) {
            try document.parse(bytes.span.bytes)
        } catch {
            throw .badRequest("body: \(error.description)")
        }
        guard document.kind(of: document.root) == .object else {
            throw .badRequest("body: must be a JSON object")
        }
        self.document = document
        self.bytes = bytes
    }

    /// Requires a type that pages of other origins cannot send without a preflight. JSON is UTF-8
    /// (RFC 8259 section 8.1).
    private static func isJSON(_ contentType: String?) -> Bool {
        guard
            let parts = contentType?.lowercased().split(
                separator: ";", omittingEmptySubsequences: false)
        else { return false }
        let trimmed = parts.map { part in part.filter { $0 != " " && $0 != "\t" && $0 != "\"" } }
        guard trimmed[0] == "application/json" else { return false }
        return trimmed.dropFirst().allSatisfy { !$0.hasPrefix("charset=") || $0 == "charset=utf-8" }
    }

    func title() throws(HTTPError) -> String {
        guard let title = try self.text("title") else { throw .badRequest("title: is missing") }
        guard title.unicodeScalars.count <= Self.titleLimit,
            title.unicodeScalars.contains(where: { !$0.properties.isWhitespace }),
            title.unicodeScalars.allSatisfy({ !$0.isControl })
        else {
            throw .badRequest(
                "title: must be 1 to \(Self.titleLimit) characters without control characters, "
                    + "and not only white space"
            )
        }
        return title
    }

    /// May contain line breaks and tabs.
    func description() throws(HTTPError) -> String {
        guard let text = try self.text("description") else { return "" }
        guard text.unicodeScalars.count <= Self.descriptionLimit,
            text.unicodeScalars.allSatisfy({
                !$0.isControl || $0 == "\n" || $0 == "\r" || $0 == "\t"
            })
        else {
            throw .badRequest(
                "description: must be at most \(Self.descriptionLimit) characters, "
                    + "of control characters only tabs and line ends"
            )
        }
        return text
    }

    /// Nil if the field is missing.
    func userID() throws(HTTPError) -> String? { try self.name("user_id") }
    func username() throws(HTTPError) -> String? { try self.name("username") }

    private func name(_ field: StaticString) throws(HTTPError) -> String? {
        guard let name = try self.text(field) else { return nil }
        guard IdentityRule.name.allows(name) else {
            throw .badRequest("\(field): must be \(IdentityRule.name.text)")
        }
        return name
    }

    private func text(_ field: StaticString) throws(HTTPError) -> String? {
        do throws(FieldError) {
            return try self.document.optionalString(
                field, of: self.document.root, in: self.bytes.span.bytes)
        } catch {
            throw .badRequest(error.description)
        }
    }
}

extension Unicode.Scalar {
    /// The Unicode category Cc.
    fileprivate var isControl: Bool { self.value < 0x20 || (0x7F...0x9F).contains(self.value) }
}
