/// The names that `--dialect` and `--adapter` accept, from the program's list of dialects.
public struct DialectChoices: Sendable {
    /// A protocol of `confab chat`.
    public struct ChatChoice: Sendable {
        public let name: String
        /// Whether the protocol requires a token.
        let requiresToken: Bool
        /// Whether an anonymous user may choose a name.
        let acceptsNames: Bool

        public init(_ name: String, requiresToken: Bool, acceptsNames: Bool) {
            self.name = name
            self.requiresToken = requiresToken
            self.acceptsNames = acceptsNames
        }
    }

    /// A protocol of `confab bench`.
    public struct AdapterChoice: Sendable {
        public let name: String
        /// An explanation for the help; nil if the name is enough.
        let remark: String?

        public init(_ name: String, remark: String?) {
            self.name = name
            self.remark = remark
        }
    }

    /// The first is the default.
    public let chat: [ChatChoice]
    /// In the order of the help. The first is the default.
    public let adapters: [AdapterChoice]
    /// The names of the adapters, in the order of errors and completion.
    public let adapterNames: [String]

    public init(chat: [ChatChoice], adapters: [AdapterChoice], adapterNames: [String]) {
        self.chat = chat
        self.adapters = adapters
        self.adapterNames = adapterNames
    }

    /// No dialect, for texts and subcommands without one.
    public static let none = DialectChoices(chat: [], adapters: [], adapterNames: [])

    /// The adapters with their remarks, as part of a sentence.
    var adapterList: String {
        self.adapters.map { adapter in
            adapter.remark.map { "\(adapter.name) (\($0))" } ?? adapter.name
        }.listed(", or ")
    }
}
