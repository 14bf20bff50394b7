/// The location of the message store: a kind, and an address that the kind has read.
public struct StoreLocation: Sendable, Equatable, CustomStringConvertible {
    public let kind: StoreKind
    /// The part of the URL that opens the store. It may contain a password.
    public let address: String
    /// The URL without a password.
    public let description: String
    /// The file of the store, next to which the node keeps its secrets and events; nil if the
    /// store has none.
    public let path: String?

    public init(_ kind: StoreKind, _ address: String, description: String, path: String? = nil) {
        self.kind = kind
        self.address = address
        self.description = description
        self.path = path
    }

    /// The path of a file of the node: next to the store's file, or in the working folder.
    public func file(_ suffix: String) -> String {
        Self.file(suffix, nextTo: self.path ?? "confab")
    }

    /// The path of a file of the node next to a store's file.
    public static func file(_ suffix: String, nextTo path: String) -> String { "\(path).\(suffix)" }
}
