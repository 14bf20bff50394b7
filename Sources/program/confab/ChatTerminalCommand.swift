import ChatTerminal
import ConfabClient
import Configuration
import Dialects
import EventLoop

/// `confab chat`: a chat in a terminal.
enum ChatTerminalCommand {
    static func run(_ options: ChatOptions) async -> Int32 {
        let dialects = DialectList.all.chatDialects
        var chatOptions = ChatTerminalOptions(url: options.url, dialects: dialects)
        chatOptions.dialect = dialects.first { $0.name == options.dialect }
        chatOptions.conversation = options.conversation
        chatOptions.name = options.name
        chatOptions.token = options.token
        chatOptions.tokenFile = options.tokenFile
        chatOptions.isPlain = options.isPlain
        chatOptions.authorities = options.authorities
        chatOptions.environment = ProcessContext.environment
        return ChatTerminal.run(chatOptions)
    }
}
