import ChatClient
import Configuration
import FoundationEssentials

/// `confab chat`: talk in a terminal.
enum ChatTerminalCommand {
    static func run(_ options: ChatOptions) async -> Int32 {
        var wanted = ChatTerminalOptions(url: options.url)
        wanted.dialect = options.dialect.flatMap { ChatDialect(rawValue: $0.rawValue) }
        wanted.conversation = options.conversation
        wanted.name = options.name
        wanted.token = options.token
        wanted.tokenFile = options.tokenFile
        wanted.isPlain = options.isPlain
        wanted.authorities = options.authorities
        wanted.environment = ProcessInfo.processInfo.environment
        return ChatTerminal.run(wanted)
    }
}
