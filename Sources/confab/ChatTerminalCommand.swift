import ChatClient
import Configuration
import FoundationEssentials

/// `confab chat`: a chat in a terminal.
enum ChatTerminalCommand {
    static func run(_ options: ChatOptions) async -> Int32 {
        var chatOptions = ChatTerminalOptions(url: options.url)
        chatOptions.dialect = options.dialect.flatMap { ChatDialect(rawValue: $0.rawValue) }
        chatOptions.conversation = options.conversation
        chatOptions.name = options.name
        chatOptions.token = options.token
        chatOptions.tokenFile = options.tokenFile
        chatOptions.isPlain = options.isPlain
        chatOptions.authorities = options.authorities
        chatOptions.environment = ProcessInfo.processInfo.environment
        return ChatTerminal.run(chatOptions)
    }
}
