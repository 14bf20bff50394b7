import ConfabClient
import EventLoop
internal import Glibc
import Telemetry
import TerminalKit

/// `confab chat`: a chat from a terminal or through a pipe.
public enum ChatTerminal {
    /// Runs until the input ends, the user quits, or the server rejects the client. The calling
    /// thread reads the input.
    ///
    /// - Returns: the exit status: 0 when every line is stored, else 1.
    public static func run(_ options: ChatTerminalOptions) -> Int32 {
        do throws(ChatTerminalError) {
            return try self.chat(options)
        } catch {
            self.printError(error.description, to: options.errors)
            return 1
        }
    }

    private static func chat(_ options: ChatTerminalOptions) throws(ChatTerminalError) -> Int32 {
        let isInteractive = isatty(options.input) == 1 && isatty(options.output) == 1
        let hasScreen =
            isInteractive && !options.isPlain
            && options.environment["TERM"].map { $0 != "dumb" && !$0.isEmpty } == true
        let (confab, target) = try self.client(options, isInteractive: isInteractive)
        guard let inputReader = InputReader(options.input) else {
            throw .system("Too many files are open (see ulimit -n).")
        }
        let url = target.location.url
        let settings = TerminalChat.ChatSettings(
            dialect: target.dialect, isInteractive: isInteractive,
            localIDPrefix: Confab.randomID(byteCount: 8),
            account: (confab.user.map { "\(SafeText.line($0, limit: 40))@" } ?? "") + url.hostField)
        let hasColour = options.environment["NO_COLOR"].map { $0.isEmpty } ?? true
        let handler = ChatTerminalLoop(
            options, settings, confab: confab, inputReader: inputReader,
            screen: hasScreen ? ScreenDisplay(hasColour: hasColour, clock: ClockText()) : nil)
        let signals = options.terminationSignals
        let loop = confab.loop
        Task {
            try? await SignalWatcher.watch(signals, on: loop) { _ in handler.interrupted() }
            guard hasScreen, !signals.isEmpty else { return }
            try? await SignalWatcher.watch([.windowChange], on: loop) { _ in handler.resized() }
        }
        let rawMode = hasScreen ? RawMode(options.input) : nil
        if hasScreen { handler.output.write(RawMode.beginPasteMarks) }
        handler.start(target)
        inputReader.run { handler.typed($0) }
        loop.join()
        if hasScreen { handler.output.write(RawMode.endPasteMarks) }
        rawMode?.restore()
        if let reason = handler.output.failureReason {
            self.printError("the output cannot be written: \(reason)", to: options.errors)
        }
        return handler.output.hasFailed ? 1 : handler.exitStatus ?? 1
    }

    private static func client(_ options: ChatTerminalOptions, isInteractive: Bool)
        throws(ChatTerminalError) -> (Confab, ChatTarget)
    {
        let url: WebSocketURL
        do throws(WebSocketURLError) {
            url = try WebSocketURL(options.url)
        } catch {
            throw .confab(.url(error))
        }
        do throws(ConfabError) {
            let target = try ChatTarget(
                url, dialect: options.dialect, conversation: options.conversation,
                among: options.dialects)
            if options.name != nil, !target.dialect.acceptsNames {
                throw ConfabError.refused(
                    ChatTerminalError.nameNotSupported(
                        target.dialect, by: options.dialects.filter(\.acceptsNames)
                    ).description)
            }
            var setup = Confab.Setup(options.url)
            setup.token = try self.token(options, url)
            setup.user = options.name
            setup.dialect = target.dialect
            setup.dialects = options.dialects
            setup.conversation = target.conversation
            setup.authorities = options.authorities
            setup.history = isInteractive ? TerminalChat.historyLimit : 0
            return (try Confab(setup), target)
        } catch .noToken {
            throw .noToken
        } catch {
            throw .confab(error)
        }
    }

    private static func token(_ options: ChatTerminalOptions, _ url: WebSocketURL)
        throws(ConfabError) -> String?
    {
        do throws(ChatTerminalError) {
            return try TokenSource.token(options, url)
        } catch {
            throw .refused(error.description)
        }
    }

    private static func printError(_ message: String, to descriptor: Int32) {
        let line = Array("confab: \(message)\n".utf8)
        _ = write(descriptor, line, line.count)
    }
}
