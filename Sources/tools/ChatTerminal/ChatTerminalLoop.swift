import ConfabClient
import EventLoop
import Synchronization
import Telemetry
import TerminalKit

/// Connects the chat of a terminal, its conversations, its input and its output, on the client's
/// event loop.
final class ChatTerminalLoop: EventLoopHandler {
    private struct State {
        var chat: TerminalChat
        var rooms: [String: ConfabConversation] = [:]
        var screen: ScreenDisplay?
        let lineDisplay = LineDisplay()
        var editor = LineEditor()
        var splitter = LineSplitter()
        /// Lines that were read and are not accepted yet.
        var waitingLines: [String] = []
        var hasInputEnded = false
        var lines: [ChatLine] = []
        var steps: [TerminalStep] = []
        var exitStatus: Int32?
        var needsInput = true
        var mustRedraw = false
    }

    private let options: ChatTerminalOptions
    private let confab: Confab
    /// Writes block when the reader is slow. This blocks the loop, and finally the server, so that
    /// no buffer grows here.
    let output: CommandOutput
    private let errors: CommandOutput
    private let inputReader: InputReader
    private let state: LoopBound<State>
    private let finalStatus = Mutex<Int32?>(nil)

    /// - Parameter screen: nil for plain lines.
    init(
        _ options: ChatTerminalOptions, _ settings: TerminalChat.ChatSettings, confab: Confab,
        inputReader: InputReader, screen: ScreenDisplay?
    ) {
        self.options = options
        self.confab = confab
        self.output = CommandOutput(descriptor: options.output)
        self.errors = CommandOutput(descriptor: options.errors)
        self.inputReader = inputReader
        self.state = LoopBound(
            State(
                chat: TerminalChat(settings, first: TerminalRoom("", [])), screen: screen),
            on: confab.loop)
    }

    /// Nil while the chat runs.
    var exitStatus: Int32? { self.finalStatus.withLock { $0 } }

    /// Opens the conversation that the command names.
    func start(_ target: ChatTarget) {
        self.confab.loop.execute {
            self.confab.loop.registerHandler(self)
            let room = self.confab.conversation(target)
            self.state.with { state in
                state.chat.rooms = [TerminalRoom(room.id, room.capabilities)]
                state.chat.greet(into: &state.steps)
                self.listen(to: room, &state)
            }
        }
    }

    /// Called by the thread that reads the input.
    func typed(_ chunk: ArraySlice<UInt8>) {
        let chunk = Array(chunk)
        self.change { self.processInput(chunk[...], &$0) }
    }

    /// Called by any thread when the user interrupts the program.
    func interrupted() { self.change { $0.chat.exit(into: &$0.steps) } }

    /// Called when the size of the terminal has changed.
    func resized() { self.change { $0.mustRedraw = true } }

    private func change(_ body: @escaping @Sendable (inout State) -> Void) {
        self.state.loop.execute { self.state.with { body(&$0) } }
    }

    // MARK: The loop

    /// The client's connections have their own handler.
    func socketReady(_: SocketToken, readable: Bool, writable: Bool) {}

    func tick(now _: MonotonicTime) {
        self.state.with { $0.chat.tick(at: .sinceBoot, into: &$0.steps) }
    }

    func turnEnding() {
        self.state.with { state in
            self.acceptLines(&state)
            repeat {
                if state.steps.isEmpty { state.chat.finishTurn(into: &state.steps) }
                let steps = state.steps
                state.steps.removeAll(keepingCapacity: true)
                for step in steps { self.perform(step, &state) }
            } while !state.steps.isEmpty
            self.display(&state)
            if state.needsInput, state.waitingLines.isEmpty, state.chat.acceptsInput,
                state.exitStatus == nil
            {
                state.needsInput = false
                self.inputReader.requestInput()
            }
        }
    }

    private func finish(_ status: Int32) {
        Task {
            await self.confab.close()
            self.finalStatus.withLock { $0 = status }
            self.inputReader.stop()
        }
    }
}

extension ChatTerminalLoop {
    private func listen(to room: ConfabConversation, _ state: inout State) {
        state.rooms[room.id] = room
        room.setListener { [weak self, id = room.id] event in
            self?.state.with { state in
                state.chat.received(event, from: id, at: .sinceBoot, into: &state.steps)
            }
        }
    }

    private func processInput(_ chunk: ArraySlice<UInt8>, _ state: inout State) {
        let now = MonotonicTime.sinceBoot
        state.needsInput = true
        if state.screen != nil {
            var events: [LineEditor.Event] = []
            state.editor.process(chunk, into: &events)
            for event in events {
                switch event {
                case .changed: state.chat.editing(state.editor.text, into: &state.steps)
                case .submitted(let line): state.chat.typed(line, at: now, into: &state.steps)
                case .ended: state.chat.inputEnded(at: now)
                case .redraw: state.mustRedraw = true
                }
            }
        } else {
            state.waitingLines += state.splitter.append(chunk)
            if chunk.isEmpty, let line = state.splitter.finish() {
                state.waitingLines.append(line)
            }
        }
        if chunk.isEmpty {
            state.needsInput = false
            state.hasInputEnded = true
        }
    }

    /// Passes the lines of a pipe on, as fast as the server stores them.
    private func acceptLines(_ state: inout State) {
        var count = 0
        while count < state.waitingLines.count, state.chat.acceptsInput {
            state.chat.typed(state.waitingLines[count], at: .sinceBoot, into: &state.steps)
            count += 1
        }
        state.waitingLines.removeFirst(count)
        if state.hasInputEnded, state.waitingLines.isEmpty {
            state.hasInputEnded = false
            state.chat.inputEnded(at: .sinceBoot)
        }
    }

    private func perform(_ step: TerminalStep, _ state: inout State) {
        switch step {
        case .show(let line): state.lines.append(line)
        case .update(let line):
            if state.screen == nil { state.lines.append(line) } else { state.mustRedraw = true }
        case .redraw: state.mustRedraw = true
        case .open(let id): self.listen(to: self.confab.conversation(id), &state)
        case .act(let action, let id):
            if let room = state.rooms[id] { self.perform(action, in: room, &state) }
            if action == .close { state.rooms[id] = nil }
        case .exit(let status):
            state.exitStatus = status
            self.finish(status)
        }
    }

    private func perform(
        _ action: RoomAction, in room: ConfabConversation, _ state: inout State
    ) {
        switch action {
        case .post(let text, let localID, let to, let references):
            do throws(ConfabError) {
                try room.post(
                    text, replyTo: references.replyTo, mentions: references.mentioned,
                    localID: localID, to: to)
            } catch {
                let event = ConversationEvent.outbox(localID: localID, .failed("\(error)"))
                state.chat.received(event, from: room.id, at: .sinceBoot, into: &state.steps)
            }
        case .discard(let localID): room.discard(localID)
        case .typing(let isTyping): room.typing(isTyping)
        case .read(let id): room.read(id)
        case .close: room.close()
        default:
            self.answer(action, in: room) { () async throws(ConfabError) in
                try await self.result(of: action, in: room)
            }
        }
    }

    /// Carries out an action that the server answers.
    private func result(of action: RoomAction, in room: ConfabConversation)
        async throws(ConfabError) -> ActionAnswer
    {
        switch action {
        case .post, .discard, .typing, .read, .close: break
        case .edit(let id, let text): try await room.edit(id, text)
        case .delete(let id): try await room.delete(id)
        case .history(let count): return .messages(try await room.history(count))
        case .leave: try await self.confab.leave(room.id)
        case .members where room.capabilities.contains(.members):
            return .members(try await room.members())
        case .members:
            let page = try await self.confab.members(room.id)
            return .members(
                page.members.map { $0.user == page.creator ? "\($0.name) (creator)" : $0.name },
                hasMore: page.nextCursor != nil)
        case .react(let id, let emoji, let isOn): try await room.react(id, emoji, on: isOn)
        case .pin(let id): try await room.pin(id)
        case .unpin(let id): try await room.unpin(id)
        // The newest is the last line, as in all lists.
        case .pins: return .messages(try await room.pins().reversed())
        case .thread(let id):
            return .messages(try await room.thread(id, limit: TerminalChat.threadLimit))
        case .search(let text): return .messages(try await room.search(text).messages.reversed())
        }
        return .done
    }

    private func answer(
        _ action: RoomAction, in room: ConfabConversation,
        _ call: @escaping @Sendable () async throws(ConfabError) -> ActionAnswer
    ) {
        Task {
            let answer: ActionAnswer
            do throws(ConfabError) {
                answer = try await call()
            } catch {
                answer = .failed(error.description)
            }
            self.change {
                $0.chat.answered(action, in: room.id, with: answer, into: &$0.steps)
            }
        }
    }

    private func display(_ state: inout State) {
        var output = TerminalOutput()
        let lines = state.lines
        state.lines.removeAll(keepingCapacity: true)
        if state.screen != nil {
            let size = RawMode.size(of: self.options.output)
            let status = state.chat.status
            if state.mustRedraw {
                state.mustRedraw = false
                state.screen?.redraw(
                    state.chat.current.lines, status, state.editor, size: size, into: &output)
            } else if state.exitStatus == nil || !lines.isEmpty {
                state.screen?.update(lines, status, state.editor, size: size, into: &output)
            }
            if state.exitStatus != nil { state.screen?.erase(into: &output) }
        } else {
            for line in lines { state.lineDisplay.show(line, into: &output) }
        }
        guard !output.isEmpty else { return }
        self.errors.write(output.errors)
        // Nothing can be displayed any more, so the chat ends.
        if !self.output.write(output.out) {
            state.chat.exit(hasFailed: true, into: &state.steps)
        }
    }
}
