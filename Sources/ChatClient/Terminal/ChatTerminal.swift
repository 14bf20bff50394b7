import Bytes
import EventLoop
internal import Glibc
import TLS
import Telemetry

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
        let url: WebSocketURL
        do throws(WebSocketURLError) {
            url = try WebSocketURL(options.url)
        } catch {
            throw .url(error)
        }
        let target = try ChatTarget(
            url, dialect: options.dialect, conversation: options.conversation,
            among: options.dialects)
        let dialect = target.dialect
        if options.name != nil, !dialect.acceptsNames {
            throw .nameNotSupported(dialect, by: options.dialects.filter(\.acceptsNames))
        }
        let token = try TokenSource.token(options, url)
        guard token != nil || !dialect.requiresToken else { throw .noToken }
        let claims = token.flatMap { UnverifiedTokenClaims(token: $0) }
        let tls = try self.tlsContext(url, options.authorities)
        let addresses: [SocketAddress]
        do throws(SocketError) {
            addresses = try self.resolve(url).get()
        } catch {
            throw .client(.socket(error, endpoint: url.host))
        }

        let isInteractive = isatty(options.input) == 1 && isatty(options.output) == 1
        let hasScreen =
            isInteractive && !options.isPlain
            && options.environment["TERM"].map { $0 != "dumb" && !$0.isEmpty } == true
        guard let inputReader = InputReader(options.input) else {
            throw .system("Too many files are open (see ulimit -n).")
        }
        let loop = try self.startLoop()
        let ownID = Hex.encode((0..<8).map { _ in UInt8.random(in: 0...255) })
        let context = target.context(
            token: token, claims: claims, name: options.name, guest: "guest-\(ownID)")
        let settings = ChatSession.Settings(
            user: dialect.ownUser(context), isInteractive: isInteractive, localIDPrefix: ownID)
        let hasColour = options.environment["NO_COLOR"].map { $0.isEmpty } ?? true
        let setup = ChatTerminalLoop.Setup(
            url: url, token: url.parameter("token") == token ? nil : token, tls: tls,
            addresses: addresses, output: options.output,
            errors: options.errors,
            screen: hasScreen
                ? ScreenDisplay(hasColour: hasColour, clock: ClockText { WallClock.now }) : nil,
            settings: settings, dialect: dialect.client(context))
        let handler = ChatTerminalLoop(setup, inputReader: inputReader, on: loop)
        loop.setHandler(handler)
        Task {
            try? await SignalWatcher.watch(options.terminationSignals, on: loop) { _ in
                handler.interrupted()
            }
        }

        let rawMode = hasScreen ? RawMode(options.input) : nil
        handler.start()
        inputReader.run(
            { handler.typed($0) }, resolveHost: { handler.addressesResolved(Self.resolve(url)) })
        loop.join()
        rawMode?.restore()
        if let reason = handler.output.failureReason {
            self.printError("the output cannot be written: \(reason)", to: options.errors)
        }
        return handler.output.hasFailed ? 1 : handler.exitStatus ?? 1
    }

    private static func startLoop() throws(ChatTerminalError) -> EventLoop {
        do throws(SocketError) {
            return try EventLoop.start(name: "chat")
        } catch {
            throw .client(.socket(error, endpoint: "This machine"))
        }
    }

    private static func tlsContext(_ url: WebSocketURL, _ authorities: String?)
        throws(ChatTerminalError) -> TLSContext?
    {
        guard url.isSecure else { return nil }
        do throws(TLSError) {
            return try TLSContext(clientTrusting: authorities, offersHTTP: true)
        } catch {
            throw .client(.tls(error))
        }
    }

    private static func resolve(_ url: WebSocketURL) -> Result<[SocketAddress], SocketError> {
        Result { () throws(SocketError) in
            try Resolver.resolveBlocking(host: url.host, port: url.port)
        }
    }

    private static func printError(_ message: String, to descriptor: Int32) {
        let line = Array("confab: \(message)\n".utf8)
        _ = write(descriptor, line, line.count)
    }
}
