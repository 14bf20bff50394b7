import Foundation

/// A JSON object in a test. Foundation parses it, so that tests do not depend on Confab's own
/// parser.
public struct JSONObject: Sendable, CustomStringConvertible {
    public let text: String
    private let data: Data

    public init(_ text: String) throws {
        self.text = text
        self.data = Data(text.utf8)
        guard (try? JSONSerialization.jsonObject(with: self.data)) is [String: Any] else {
            throw TestFailure("no JSON object: \(text)")
        }
    }

    /// Decodes a part of a token.
    public init(base64URL text: String) throws {
        let standard = text.replacing("-", with: "+").replacing("_", with: "/")
        guard
            let data = Data(
                base64Encoded: standard
                    + String(repeating: "=", count: (4 - standard.count % 4) % 4))
        else {
            throw TestFailure("no base64url: \(text)")
        }
        try self.init(String(decoding: data, as: UTF8.self))
    }

    public var description: String { self.text }

    private var members: [String: Any] {
        (try? JSONSerialization.jsonObject(with: self.data)) as? [String: Any] ?? [:]
    }

    public subscript(_ name: String) -> String? { self.members[name] as? String }
    public func number(_ name: String) -> Double? { (self.members[name] as? NSNumber)?.doubleValue }
    public func bool(_ name: String) -> Bool? { self.members[name] as? Bool }
    public func strings(_ name: String) -> [String]? { self.members[name] as? [String] }
    public func object(_ name: String) -> JSONObject? { self.members[name].flatMap(Self.object) }
    public func objects(_ name: String) -> [JSONObject]? {
        (self.members[name] as? [Any])?.compactMap(Self.object)
    }

    private static func object(_ value: Any) -> JSONObject? {
        guard value is [String: Any],
            let data = try? JSONSerialization.data(withJSONObject: value, options: [.sortedKeys])
        else {
            return nil
        }
        return try? JSONObject(String(decoding: data, as: UTF8.self))
    }
}

/// Encodes a text as a JSON string, with quotes.
public func jsonString(_ text: String) -> String {
    let data =
        (try? JSONSerialization.data(
            withJSONObject: text, options: [.fragmentsAllowed, .withoutEscapingSlashes])) ?? Data()
    return String(decoding: data, as: UTF8.self)
}
