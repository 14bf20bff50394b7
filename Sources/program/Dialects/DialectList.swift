import AgentsDialect
import ChatsDialect
public import ConfabClient
public import Configuration
import ConversationsDialect
public import DialectKit
public import LoadGenerator
import PetsDialect
import RoomsDialect

/// The dialects of the program: the only list of them.
///
/// A line adds a dialect to the server, to `confab chat` and to `confab bench`. The options
/// `--dialect` and `--adapter`, their help and their completion contain its names.
public enum DialectList {
    /// The first is the default of the clients.
    public static let all = [
        DialectRow(.conversations, load: [.conversations]) { _ in ConversationsDialect() },
        DialectRow(.pets, load: [.pets]) { _ in PetsDialect() },
        DialectRow(.chats, load: [.chats]) {
            ChatsDialect(defaultAccess: $0.defaultAccess)
        },
        DialectRow(.rooms, load: [.rooms, .roomsPolling]) { RoomsDialect($0) },
        DialectRow(.agents, load: [.agents]) { _ in AgentsDialect() },
    ]
}

/// A dialect for all users of the list.
public struct DialectRow: Sendable {
    /// The protocol in `confab chat`.
    public let chat: ChatDialect
    /// The protocol in `confab bench`. The first is part of `mixed`.
    public let load: [LoadAdapter]
    /// The protocol in the server.
    public let server: @Sendable (DialectSettings) -> any Dialect

    public init(
        _ chat: ChatDialect, load: [LoadAdapter],
        server: @escaping @Sendable (DialectSettings) -> any Dialect
    ) {
        self.chat = chat
        self.load = load
        self.server = server
    }
}

extension [DialectRow] {
    public var names: [String] { self.map(\.chat.name) }
    public var chatDialects: [ChatDialect] { self.map(\.chat) }

    /// The adapters of all dialects, then `mixed` and `raw`.
    public var loadAdapters: [LoadAdapter] { self.flatMap(\.load) + self.generalAdapters }

    private var generalAdapters: [LoadAdapter] {
        [.mixed(self.compactMap(\.load.first)), .raw]
    }

    /// The names for the command line.
    public var choices: DialectChoices {
        DialectChoices(
            chat: self.chatDialects.map {
                .init($0.name, requiresToken: $0.requiresToken, acceptsNames: $0.acceptsNames)
            },
            adapters: self.loadAdapters.map { .init($0.name, remark: $0.remark) },
            // In errors and completion, the first adapters of all dialects precede the others.
            adapterNames: (self.compactMap(\.load.first) + self.flatMap { $0.load.dropFirst() }
                + self.generalAdapters).map(\.name))
    }
}
