import Bytes
import EventLoop
internal import Glibc
import HTTPWire
import Synchronization
import TLS
import Telemetry

/// Connects a chat session, its connection and its terminal on an event loop.
final class ChatTerminalLoop: EventLoopHandler {
    struct Setup: Sendable {
        let url: WebSocketURL
        let token: String?
        let tls: TLSContext?
        let addresses: [SocketAddress]
        let output: Int32
        let errors: Int32
        /// Nil for plain lines.
        let screen: ScreenDisplay?
        let settings: ChatSession.Settings
        let dialect: any ClientDialect
    }

    private struct State {
        var session: ChatSession
        var client: WebSocketClient
        var screen: ScreenDisplay?
        var lineDisplay = LineDisplay()
        var editor = LineEditor()
        var splitter = LineSplitter()
        var lines: [ChatLine] = []
        var steps: [ChatStep] = []
        var events: [WebSocketClient.Event] = []
        var exitStatus: Int32?
        var isClientClosed = true
        var needsInput = true
        var mustRedraw = false
        var resumeAfter: Int?
    }

    private let setup: Setup
    /// Writes block when the reader is slow. This blocks the loop, and finally the server, so that
    /// no buffer grows here.
    let output: CommandOutput
    private let errors: CommandOutput
    private let inputReader: InputReader
    private let state: LoopBound<State>
    private let finalStatus = Mutex<Int32?>(nil)

    init(_ setup: Setup, inputReader pump: InputReader, on loop: EventLoop) {
        self.setup = setup
        self.output = CommandOutput(descriptor: setup.output)
        self.errors = CommandOutput(descriptor: setup.errors)
        self.inputReader = pump
        let session = ChatSession(
            setup.settings, speaking: setup.dialect, using: SystemRandomNumberGenerator())
        self.state = LoopBound(
            State(
                session: session, client: WebSocketClient(on: loop, url: setup.url, tls: setup.tls),
                screen: setup.screen), on: loop)
    }

    /// Nil while the chat runs.
    var exitStatus: Int32? { self.finalStatus.withLock { $0 } }

    func start() {
        self.state.loop.execute {
            self.state.with { $0.session.start(into: &$0.steps) }
        }
    }

    /// Called by the thread that reads the input.
    func typed(_ chunk: ArraySlice<UInt8>) {
        let chunk = Array(chunk)
        self.state.loop.execute {
            self.state.with { self.processInput(chunk[...], &$0) }
        }
    }

    /// Called by the thread that resolves names. Connects, unless the session has given up.
    func addressesResolved(_ result: Result<[SocketAddress], SocketError>) {
        self.state.loop.execute {
            self.state.with { state in
                guard state.session.connection == .connecting else { return }
                switch result {
                case .success(let addresses): self.connect(to: addresses, .now, &state)
                // The name resolved before, so this is a network outage, and a retry may succeed.
                case .failure(let error):
                    state.session.disconnected(
                        .broken(reason: error.description), at: .now, into: &state.steps)
                }
            }
        }
    }

    /// Called by any thread when the user interrupts the program.
    func interrupted() {
        self.state.loop.execute {
            self.state.with { $0.session.exit(into: &$0.steps) }
        }
    }

    func socketReady(_ token: SocketToken, readable: Bool, writable: Bool) {
        self.state.with {
            $0.client.socketReady(token, readable: readable, writable: writable, into: &$0.events)
        }
    }

    func tick(now: MonotonicTime) {
        self.state.with {
            $0.client.tick(now: now, into: &$0.events)
            $0.session.tick(at: now, into: &$0.steps)
        }
    }

    func turnEnding() {
        let isOver = self.state.with { state in
            self.perform(&state)
            self.display(&state)
            if state.needsInput, state.session.acceptsInput, state.exitStatus == nil {
                state.needsInput = false
                self.inputReader.requestInput()
            }
            return state.isClientClosed ? state.exitStatus : nil
        }
        if let isOver { self.finish(isOver) }
    }

    private func finish(_ status: Int32) {
        self.finalStatus.withLock { $0 = status }
        self.inputReader.stop()
        self.state.loop.stop()
    }
}

extension ChatTerminalLoop {
    private func processInput(_ chunk: ArraySlice<UInt8>, _ state: inout State) {
        let now = MonotonicTime.now
        state.needsInput = true
        if state.screen != nil {
            var events: [LineEditor.Event] = []
            state.editor.process(chunk, into: &events)
            for event in events {
                switch event {
                case .changed: state.session.editing(state.editor.text, at: now, into: &state.steps)
                case .submitted(let line): state.session.typed(line, at: now, into: &state.steps)
                case .ended: state.session.inputEnded(at: now)
                case .redraw: state.mustRedraw = true
                }
            }
        } else {
            for line in state.splitter.append(chunk) {
                state.session.typed(line, at: now, into: &state.steps)
            }
            if chunk.isEmpty, let line = state.splitter.finish() {
                state.session.typed(line, at: now, into: &state.steps)
            }
        }
        if chunk.isEmpty {
            state.needsInput = false
            state.session.inputEnded(at: now)
        }
    }

    /// Steps cause events, and events cause steps, until both queues are empty.
    private func perform(_ state: inout State) {
        let now = MonotonicTime.now
        repeat {
            let events = state.events
            state.events.removeAll(keepingCapacity: true)
            for event in events { self.handle(event, now, &state) }
            if state.steps.isEmpty { state.session.finishTurn(into: &state.steps) }
            let steps = state.steps
            state.steps.removeAll(keepingCapacity: true)
            for step in steps { self.perform(step, now, &state) }
        } while !state.events.isEmpty || !state.steps.isEmpty
    }

    private func handle(_ event: WebSocketClient.Event, _ now: MonotonicTime, _ state: inout State)
    {
        switch event {
        case .opened: state.session.opened(at: now, into: &state.steps)
        case .text(let text): state.session.received(text, at: now, into: &state.steps)
        case .binary:
            let name = state.session.dialect.dialect.title
            state.lines.append(
                .error(
                    "The server sent a binary message, which the \(name) protocol does not have."))
        case .bytesReceived: break
        case .closed(let error):
            state.isClientClosed = true
            state.session.disconnected(error, at: now, into: &state.steps)
        }
    }

    private func perform(_ step: ChatStep, _ now: MonotonicTime, _ state: inout State) {
        switch step {
        case .connect(let after):
            state.resumeAfter = after
            // The first connection uses the known addresses; later they may have changed.
            if state.session.lostAt == nil {
                self.connect(to: self.setup.addresses, now, &state)
            } else {
                self.inputReader.requestAddresses()
            }
        case .send(let text): state.client.send(text, into: &state.events)
        case .show(let line): state.lines.append(line)
        case .close: state.client.close(.normal, now: now, into: &state.events)
        case .drop(let error): state.client.drop(error, into: &state.events)
        case .exit(let status): state.exitStatus = state.exitStatus ?? status
        }
    }

    private func connect(to addresses: [SocketAddress], _ now: MonotonicTime, _ state: inout State)
    {
        let dialect = state.session.dialect
        var fields: [HTTPField] = []
        // In a header field and not in the URL, because proxies log URLs.
        if dialect.sendsTokenInHeader, let token = self.setup.token {
            fields.append(HTTPField("Authorization", "Bearer \(token)"))
        }
        let url = dialect.url(after: state.resumeAfter)
        state.isClientClosed = false
        state.client.connect(to: addresses, as: url, fields: fields, now: now, into: &state.events)
    }

    private func display(_ state: inout State) {
        var output = TerminalOutput()
        let lines = state.lines
        state.lines.removeAll(keepingCapacity: true)
        if state.screen != nil {
            let columns = RawMode.columns(of: self.setup.output)
            if state.mustRedraw { output.out += "\u{1B}[2J\u{1B}[H" }
            if state.exitStatus == nil || !lines.isEmpty {
                state.screen?.update(
                    lines, state.session.status, state.editor, columns: columns,
                    force: state.mustRedraw, into: &output)
            }
            state.mustRedraw = false
            if state.exitStatus != nil { state.screen?.erase(into: &output) }
        } else {
            for line in lines { state.lineDisplay.show(line, into: &output) }
        }
        guard !output.isEmpty else { return }
        self.errors.write(output.errors)
        // Nothing can be displayed any more, so the chat ends.
        if !self.output.write(output.out) {
            state.session.exit(hasFailed: true, into: &state.steps)
        }
    }
}
