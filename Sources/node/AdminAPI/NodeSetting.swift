/// An effective setting of a node, with its source, for operators. A secret is never one: settings
/// name the files of secrets, and `store` has no password.
public struct NodeSetting: Sendable, Equatable {
    /// The option without dashes; for a limit, `limit content-bytes`.
    public let name: String
    /// Nil if it is neither set nor has a default.
    public let value: String?
    /// `default`, `command line`, `environment CONFAB_…` or `file …`.
    public let source: String

    public init(name: String, value: String?, source: String) {
        self.name = name
        self.value = value
        self.source = source
    }
}
