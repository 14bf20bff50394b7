import Foundation
import TestKit
import Testing

/// The published document that a protocol is based on, if available: in the folder `CONFAB_SEEDS`,
/// or next to the checkout.
struct PublishedDocument: Sendable {
    private let path: String

    /// - Parameter name: the name of the file in that folder.
    init(_ name: String) {
        let folder = ProcessInfo.processInfo.environment["CONFAB_SEEDS"]
        self.path = (folder ?? Checkout.file("../shared/seeds")) + "/" + name
    }

    static let pets = PublishedDocument("000_5612c7282f4469c5.txt")
    static let chats = PublishedDocument("001_c85dcde09b712ec8.txt")
    static let rooms = PublishedDocument("002_6eb78b2e6f6c751c.txt")
    static let conversations = PublishedDocument("003_d41484937f228627.txt")
    static let agents = PublishedDocument("004_e95525f358d61785.txt")

    var exists: Bool { access(self.path, R_OK) == 0 }

    /// The texts of the blocks in this language, in order.
    func blocks(_ language: String) throws -> [String] {
        let text = try String(contentsOfFile: self.path, encoding: .utf8)
        return try text.matches(of: Regex(#"(?s)```\#(language)\n(.*?)```"#)).map {
            String($0.output[1].substring ?? "")
        }
    }

    /// The JSON objects in the blocks of this language, in order, without comments.
    func objects(in language: String) throws -> [JSONObject] {
        try self.blocks(language).flatMap { block in
            let lines = block.split(separator: "\n").map { line in
                line.firstRange(of: /(^|\s)\/\/.*/).map { String(line[..<$0.lowerBound]) }
                    ?? String(line)
            }
            // An object ends with its last brace at the margin; blocks in lists are indented.
            let margin =
                lines.first { !$0.allSatisfy(\.isWhitespace) }?.prefix { $0 == " " }.count ?? 0
            let bodies = lines.map { String($0.dropFirst(margin)) }.joined(separator: "\n").matches(
                of: /(?m)^\{(?s).*?^\}/
            ).map {
                String($0.0)
            }
            return try bodies.map { try JSONObject($0.replacing(/,(\s*[\]}])/) { $0.1 }) }
        }
    }
}

extension Trait where Self == ConditionTrait {
    /// For tests that read a published document.
    static func published(_ document: PublishedDocument) -> Self {
        .enabled(
            if: document.exists, "The published documents are missing: set CONFAB_SEEDS")
    }
}

/// The shape of a JSON value: its fields and their types. Documents show placeholders for values,
/// such as `"int"`.
enum Shape: Equatable, CustomStringConvertible {
    case text, number, bool, null
    case list(of: [Shape])
    case object([String: Shape])

    init(_ value: Any) {
        switch value {
        case let text as String:
            switch text {
            case "int": self = .number
            case "boolean": self = .bool
            default: self = .text
            }
        case is Bool where type(of: value) == Bool.self: self = .bool
        case let number as NSNumber:
            self = String(cString: number.objCType) == "c" ? .bool : .number
        case let list as [Any]:
            var shapes: [Shape] = []
            for element in list.map({ Shape($0) }) where !shapes.contains(element) {
                shapes.append(element)
            }
            self = .list(of: shapes)
        case let object as [String: Any]: self = .object(object.mapValues { Shape($0) })
        default: self = .null
        }
    }

    init(_ object: JSONObject) throws {
        self.init(try JSONSerialization.jsonObject(with: Data(object.text.utf8)))
    }

    /// The fields that are missing or have another type than documented. Additional fields are
    /// allowed.
    func differences(from documented: Shape, at path: String = "") -> [String] {
        switch (documented, self) {
        case (.object(let expected), .object(let found)):
            expected.sorted { $0.key < $1.key }.flatMap { name, shape in
                found[name].map { $0.differences(from: shape, at: "\(path).\(name)") } ?? [
                    "\(path).\(name) is missing"
                ]
            }
        case (.list(let expected), .list(let found)):
            expected.first.map { shape in
                found.flatMap { $0.differences(from: shape, at: "\(path)[]") }
            } ?? []
        default:
            documented == self ? [] : ["\(path) is \(self), and documented as \(documented)"]
        }
    }

    var description: String {
        switch self {
        case .text: "a text"
        case .number: "a number"
        case .bool: "true or false"
        case .null: "null"
        case .list: "a list"
        case .object: "an object"
        }
    }
}
