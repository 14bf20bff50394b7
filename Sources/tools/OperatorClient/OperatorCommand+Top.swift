import Bytes
internal import Configuration
import Glibc
import JSON
import Synchronization
internal import TerminalKit

/// `confab top`.
extension OperatorCommand {
    private static let pollMilliseconds: Int32 = 100

    /// Shows the screen until the user quits.
    ///
    /// - Returns: 0 after `q`; 128 and the number of a signal that ended it.
    func top() -> Int32 {
        let views = OperatorVerb.topViewNames.compactMap { name in
            OperatorVerb.named(name).flatMap { TopScreen.TopView($0) }
        }
        guard let fullScreen = FullScreen() else {
            self.screen.printError(
                "confab: top: needs a terminal; for a file or a pipe, use confab nodes --watch")
            return 2
        }
        defer { fullScreen.leave() }
        let pause = self.options.watch ?? .seconds(2)
        var screen = TopScreen(
            views: views, first: self.options["view"]?.stringValue,
            interval: "\(OperatorText.decimal(pause / .seconds(1))) s")
        let requests = TopRequests(self.options.urls, token: self.token)
        var keys = TopKeys()
        var nextRequest = ContinuousClock.now
        while !screen.isDone {
            let size = fullScreen.size
            let now = ContinuousClock.now
            if now >= nextRequest, !screen.isPaused,
                requests.start(screen.view, screen.parameters(rows: size.rows))
            {
                nextRequest = now + pause
            }
            switch requests.take() {
            case (let view, .success(let document))?:
                screen.received(document, for: view, at: Self.timeOfDay)
            case (_, .failure(let problem))?: screen.failed(problem.firstLine)
            case nil: break
            }
            let lines = screen.lines(size: size, isColoured: self.screen.isColoured)
            guard fullScreen.draw(lines, size: size),
                let bytes = fullScreen.keys(within: Self.pollMilliseconds)
            else { return 1 }
            for key in keys.parse(bytes) where screen.pressed(key) { nextRequest = now }
            if let signal = fullScreen.endingSignal() { return 128 + signal }
        }
        return 0
    }

    /// `12:00:05`, in UTC as all times of the command line.
    private static var timeOfDay: String {
        String(WallClock.now.text.dropFirst(11).prefix(8))
    }
}

extension AdminProblem {
    /// The first line of the message, because the screen has one line for it.
    fileprivate var firstLine: String {
        self.message.split(separator: "\n").first.map(String.init) ?? self.message
    }
}

/// Requests documents on another thread, one at a time, so that a node that does not answer does
/// not block the keys.
private final class TopRequests: Sendable {
    private struct State {
        var isBusy = false
        var result: (view: String, Result<JSONTree, AdminProblem>)?
    }

    private let urls: [String]
    private let token: String?
    private let state = Mutex(State())

    init(_ urls: [String], token: String?) {
        self.urls = urls
        self.token = token
    }

    /// - Returns: false while another request is pending.
    func start(_ view: TopScreen.TopView, _ parameters: [JSONTree.ObjectMember]) -> Bool {
        let isFree = self.state.withLock { state in
            defer { state.isBusy = true }
            return !state.isBusy
        }
        guard isFree else { return false }
        let (name, path) = (view.name, view.path)
        Task.detached {
            // A client of its own each time: it uses the first node that answers now.
            let client = AdminClient(self.urls, token: self.token)
            let result: Result<JSONTree, AdminProblem>
            do throws(AdminProblem) {
                result = .success(try client.get(path, parameters))
            } catch {
                result = .failure(error)
            }
            self.state.withLock { $0 = State(result: (name, result)) }
        }
        return true
    }

    /// The result of a completed request, once.
    func take() -> (view: String, Result<JSONTree, AdminProblem>)? {
        self.state.withLock { state in
            defer { state.result = nil }
            return state.result
        }
    }
}
