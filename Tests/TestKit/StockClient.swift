import Glibc

/// A WebSocket client library as users have it, controlled by a test.
public protocol StockClient: AnyObject {
    func send(_ text: String) throws
    func send(binary bytes: [UInt8]) throws
    func close(_ code: UInt16) throws
    /// The next event. The end of the connection comes last, and repeats.
    func next(within time: Duration) throws -> RawWebSocketClient.Event
}

/// The client library that plays an example.
public enum StockClientKind: String, Sendable, CaseIterable, CustomStringConvertible {
    /// The client of TestKit.
    case testKit = "our own client"
    /// Python's `websockets`.
    case python = "Python websockets"

    public var description: String { self.rawValue }

    public func connect(_ path: String, port: UInt16) throws -> any StockClient {
        switch self {
        case .testKit: try RawWebSocketClient(path, port: port)
        case .python: try PythonClient("ws://127.0.0.1:\(port)\(path)")
        }
    }
}

extension RawWebSocketClient: StockClient {
    public func send(binary bytes: [UInt8]) throws { try self.send(opcode: 2, bytes) }
}

extension RawWebSocketClient.Event {
    /// Parses a line of a client in another language: `text …`, `closed CODE REASON`.
    fileprivate init(line: String) throws {
        let parts = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        switch parts[0] {
        case "text": self = .text(String(line.dropFirst("text ".count)))
        case "closed":
            self = .close(
                code: parts.count > 1 ? UInt16(parts[1]) : nil,
                reason: parts.count > 2 ? String(parts[2]) : "")
        default: throw TestFailure("expected a frame and got: \(line)")
        }
    }
}

/// Python's `websockets`, in a process of its own.
public final class PythonClient: StockClient {
    public let process: ChildProcess
    private var lineCount = 0

    /// - Parameter authority: a file with the certificate to trust, for `wss`.
    public init(_ url: String, authority: String? = nil) throws {
        let script = Checkout.file("Tests/SystemTests/Clients/relay.py")
        self.process = try ChildProcess(
            Checkout.python(), [script, url] + (authority.map { [$0] } ?? []))
        do {
            let first = try self.line(within: Deadline.defaultTimeout)
            guard first == "opened" else { throw TestFailure("\(url): \(first)") }
        } catch {
            self.process.kill()
            throw error
        }
    }

    deinit { self.process.kill() }

    public func send(_ text: String) throws { try self.process.writeLine("text \(text)") }

    public func send(binary bytes: [UInt8]) throws {
        let hex = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
        try self.process.writeLine("binary \(hex)")
    }

    public func close(_ code: UInt16) throws { try self.process.writeLine("close \(code)") }

    public func next(within time: Duration) throws -> RawWebSocketClient.Event {
        try RawWebSocketClient.Event(line: self.line(within: time))
    }

    private func line(within time: Duration) throws -> String {
        let line = try self.process.output.line(at: self.lineCount, within: time) {
            self.process.errors.text
        }
        self.lineCount += 1
        return line
    }
}

/// The `WebSocket` of a page in a browser.
public final class BrowserClient: StockClient {
    private let tab: Browser.Tab

    /// - Parameter tab: a page of an origin that the server allows.
    public init(_ path: String, in tab: Browser.Tab, port: UInt16) throws {
        self.tab = tab
        let opened = try tab.runFunctionBody(
            """
            window.received = []; window.wake = () => {};
            const say = (line) => { window.received.push(line); window.wake(); };
            window.ws = new WebSocket('ws://127.0.0.1:\(port)' + \(jsonString(path)));
            window.ws.onmessage = (event) => say('text ' + event.data);
            return await new Promise((resolve) => {
                window.ws.onopen = () => resolve('opened');
                window.ws.onclose = (event) => {
                    resolve('refused');
                    say('closed ' + event.code + ' ' + event.reason);
                };
            });
            """)
        guard opened == "opened" else { throw TestFailure("the browser was refused at \(path)") }
    }

    public func send(_ text: String) throws { try self.run("window.ws.send(\(jsonString(text)));") }

    public func send(binary bytes: [UInt8]) throws {
        try self.run("window.ws.send(new Uint8Array(\(bytes)));")
    }

    public func close(_ code: UInt16) throws { try self.run("window.ws.close(\(code));") }

    public func next(within time: Duration) throws -> RawWebSocketClient.Event {
        let milliseconds = Deadline(within: time).milliseconds
        return try RawWebSocketClient.Event(
            line: self.tab.runFunctionBody(
                """
                if (window.received.length === 0) {
                    await Promise.race([
                        new Promise((r) => window.wake = r),
                        new Promise((r) => setTimeout(r, \(milliseconds)))
                    ]);
                }
                return window.received.length === 0 ? 'nothing' : window.received.shift();
                """))
    }

    private func run(_ body: String) throws {
        _ = try self.tab.runFunctionBody(body + " return '';")
    }
}
