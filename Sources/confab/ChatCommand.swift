import Configuration

/// `confab chat`: talk in a terminal.
enum ChatCommand {
    static func run(_ options: ChatOptions) async -> Int32 {
        Program.complain("confab: chat is not part of this build")
        return 1
    }
}
