import Foundation

/// A headless Chromium, controlled through its DevTools protocol.
public final class Browser {
    private let process: ChildProcess
    private let profile: TemporaryFolder
    private let socket: RawWebSocketClient
    private var lastID = 0
    /// Events that arrived during a wait for another message.
    private var queuedEvents: [JSONObject] = []

    /// - Parameter options: additional command-line switches of Chromium.
    public init(_ options: [String] = []) throws {
        self.profile = try TemporaryFolder()
        // Chromium's sandbox does not start as root. The browser opens only pages of the tests.
        let needed = [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--disable-extensions",
            "--disable-background-networking",
            "--no-first-run", "--no-proxy-server", "--remote-debugging-port=0",
            "--user-data-dir=\(self.profile.path)",
        ]
        self.process = try ChildProcess(
            Checkout.program("chromium", "chromium-headless-shell", "google-chrome"),
            needed + options + ["about:blank"],
            environment: ["HOME": self.profile.path, "TMPDIR": self.profile.path],
            folder: self.profile.path)
        do {
            let line = try self.process.errors.line(
                with: "DevTools listening on ws://", within: .seconds(60))
            guard let url = URL(string: String(line.split(separator: " ").last ?? "")),
                let port = url.port.flatMap(UInt16.init(exactly:))
            else {
                throw TestFailure("no address in: \(line)")
            }
            self.socket = try RawWebSocketClient(url.path, port: port)
        } catch {
            self.process.kill()
            throw error
        }
    }

    deinit {
        // Closed before the profile is deleted; otherwise files that Chromium's other processes
        // write meanwhile would remain.
        _ = try? self.call("Browser.close")
        guard (try? self.process.waitForExit()) == nil else { return }
        self.process.kill()
        _ = try? self.process.waitForExit()
    }

    /// Opens a tab and waits until the page has loaded.
    public func open(_ url: String) throws -> Tab {
        let target =
            try self.call("Target.createTarget", #"{"url":"about:blank"}"#)["targetId"] ?? ""
        let session =
            try self.call("Target.attachToTarget", #"{"targetId":"\#(target)","flatten":true}"#)[
                "sessionId"] ?? ""
        let tab = Tab(browser: self, session: session)
        _ = try self.call("Page.enable", in: session)
        _ = try self.call("Page.navigate", #"{"url":\#(jsonString(url))}"#, in: session)
        try self.awaitEvent("Page.loadEventFired", in: session)
        return tab
    }

    fileprivate func call(_ method: String, _ parameters: String = "{}", in session: String? = nil)
        throws -> JSONObject
    {
        self.lastID += 1
        let id = self.lastID
        let sessionField = session.map { #","sessionId":"\#($0)""# } ?? ""
        try self.socket.send(
            #"{"id":\#(id),"method":"\#(method)","params":\#(parameters)\#(sessionField)}"#)
        while true {
            let message = try self.next()
            guard message.number("id") == Double(id) else {
                self.queuedEvents.append(message)
                continue
            }
            guard let result = message.object("result") else {
                throw TestFailure("\(method): \(message.object("error")?.text ?? "failed")")
            }
            return result
        }
    }

    private func awaitEvent(_ name: String, in session: String) throws {
        while true {
            if let index = self.queuedEvents.firstIndex(where: {
                $0["method"] == name && $0["sessionId"] == session
            }) {
                self.queuedEvents.remove(at: index)
                return
            }
            self.queuedEvents.append(try self.next())
        }
    }

    private func next() throws -> JSONObject {
        switch try self.socket.next(within: .seconds(60)) {
        case .text(let text): return try JSONObject(text)
        case let other: throw TestFailure("the browser answered with \(other)")
        }
    }

    /// A browser tab with one page.
    public struct Tab {
        fileprivate let browser: Browser
        fileprivate let session: String

        /// Runs the body of an async function in the page. The function must return a string.
        public func runFunctionBody(_ body: String) throws -> String {
            guard let value = try self.evaluate("await (async () => { \(body) })()") else {
                throw TestFailure("the page's script returned no text: \(body)")
            }
            return value
        }

        /// Evaluates a script as if it were typed into the page's console: its declarations
        /// persist. Returns the result if it is a string.
        @discardableResult
        public func evaluate(_ script: String) throws -> String? {
            let answer = try self.browser.call(
                "Runtime.evaluate",
                #"{"expression":\#(jsonString(script)),"awaitPromise":true,"#
                    + #""returnByValue":true,"replMode":true}"#,
                in: self.session)
            if let problem = answer.object("exceptionDetails") {
                throw TestFailure("the page's script failed: \(problem)")
            }
            return answer.object("result")?["value"]
        }
    }
}
