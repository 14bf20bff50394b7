import Foundation
import Synchronization
import TestKit

/// The node processes of a cluster. Each node reaches the store through its own proxies.
///
/// Only the thread that injects the faults uses this object. Members read only the ports in the
/// context.
final class ClusterProcesses {
    private struct NodeProcess {
        let links: StoreLinks
        var process: ChildProcess
        /// The number of starts of this node.
        var startCount = 1
    }

    let clusterName: String
    private let context: TortureContext
    private let storeEndpoint: StoreEndpoint
    private let folder: TemporaryFolder
    private let binaries: [String]
    private let options: [String]
    private var nodes: [String: NodeProcess] = [:]
    private var logs: [(name: String, process: ChildProcess)] = []

    /// - Parameters:
    ///   - binaries: node numbers and starts alternate between them.
    ///   - options: further options of `confab serve`.
    init(
        _ clusterName: String, storeEndpoint: StoreEndpoint, binaries: [String],
        options: [String] = ClusterProcesses.withoutRates, context: TortureContext
    ) throws {
        self.clusterName = clusterName
        self.storeEndpoint = storeEndpoint
        self.binaries = binaries
        self.options = options
        self.context = context
        self.folder = try TemporaryFolder()
        try self.folder.write(ConfabServer.secret, to: "jwt.secret")
    }

    /// Members send as fast as they like.
    static let withoutRates = [
        "--limit", "messages-per-second=100000", "--limit", "message-burst=100000",
    ]

    deinit { self.killAll() }

    /// The nodes that have been started and have not left.
    var names: [String] { self.nodes.keys.sorted() }

    var ports: [String: UInt16] { self.context.clientPorts.withLock { $0 } }

    // MARK: Starting and stopping

    /// Starts nodes at the same time, and waits until all are ready.
    func start(_ names: [String]) throws {
        for name in names {
            let links = try self.nodes[name]?.links ?? StoreLinks(to: self.storeEndpoint)
            let startCount = (self.nodes[name]?.startCount ?? 0) + 1
            let process = try ChildProcess(
                self.binaries[
                    ((Int(name.drop { !$0.isNumber }) ?? 0) + startCount) % self.binaries.count],
                [
                    "serve", "--store", links.url, "--cluster-name", self.clusterName, "--node-id",
                    name,
                    "--jwt-secret-file", self.folder.file("jwt.secret"), "--listen", "127.0.0.1:0",
                    "--admin", "off",
                    "--drain-seconds", "1", "--loops", "2", "--history", "1000000",
                ] + self.options, folder: self.folder.path)
            self.nodes[name] = NodeProcess(links: links, process: process, startCount: startCount)
            self.logs.append(("\(name)-\(startCount)", process))
        }
        for name in names {
            let line = try self.node(name).process.errors.line(with: "confab ready on ")
            guard let port = line.firstMatch(of: /127\.0\.0\.1:([0-9]+)/).flatMap({ UInt16($0.1) })
            else {
                throw TestFailure("no address in: \(line)")
            }
            self.context.clientPorts.withLock { $0[name] = port }
        }
    }

    private func node(_ name: String) throws -> NodeProcess {
        guard let node = self.nodes[name] else { throw TestFailure("there is no node \(name)") }
        return node
    }

    /// Signals processes and waits for them to end. After SIGTERM, the exit status must be 0.
    func stop(_ names: [String], by signal: Int32) throws {
        for name in names {
            self.context.clientPorts.withLock { _ = $0.removeValue(forKey: name) }
            try self.node(name).process.send(signal)
        }
        for name in names {
            let exitStatus = try self.node(name).process.waitForExit()
            if signal == SIGTERM, exitStatus != .exited(0) {
                throw TestFailure("\(name) did not end with status 0 after SIGTERM: \(exitStatus)")
            }
        }
    }

    /// Removes a node that has left for good.
    func remove(_ name: String) { self.nodes[name] = nil }

    func signal(_ name: String, _ signal: Int32) throws { try self.node(name).process.send(signal) }

    func set(_ condition: FaultProxy.Condition, for name: String) throws {
        try self.node(name).links.set(condition)
    }

    /// The nodes whose processes have ended unexpectedly.
    var crashed: [String] { self.nodes.filter { !$0.value.process.isRunning }.keys.sorted() }

    func killAll() {
        for (_, process) in self.logs { process.kill() }
        self.context.clientPorts.withLock { $0 = [:] }
    }

    // MARK: Logs and histories

    /// Writes the logs of all starts of all nodes.
    func writeLogs(to folder: String) throws {
        for (name, process) in self.logs {
            try process.errors.text.write(
                toFile: "\(folder)/\(self.clusterName)-\(name).log", atomically: true,
                encoding: .utf8)
        }
    }

    /// The complete history of a conversation, as read from a node.
    func history(of conversation: String, through name: String) throws -> [ServerFrame
        .FrameMessage]
    {
        let socket = try self.reader(of: conversation, through: name)
        defer { socket.dropConnection() }
        var history: [ServerFrame.FrameMessage] = []
        while true {
            let after = history.last?.id ?? "0"
            try socket.send(#"{"action":"fetch_messages","after_id":"\#(after)","limit":100}"#)
            let page = try self.page(from: socket).messages ?? []
            if page.isEmpty { return history }
            history += page
        }
    }

    /// The numbers of all messages that a search through a node finds.
    func search(_ text: String, in conversation: String, through name: String) throws -> [Int] {
        let socket = try self.reader(of: conversation, through: name)
        defer { socket.dropConnection() }
        var found: [Int] = []
        var position = ""
        while true {
            try socket.send(#"{"action":"search","text":"\#(text)","limit":100\#(position)}"#)
            let page = try self.page(from: socket)
            found += (page.messages ?? []).compactMap { Int($0.id) }
            guard let next = page.nextBeforeID else { return found }
            position = #","before_id":"\#(next)""#
        }
    }

    private func reader(of conversation: String, through name: String) throws
        -> RawWebSocketClient
    {
        guard let port = self.ports[name] else { throw TestFailure("\(name) accepts no clients") }
        // A user of its own, because rates count for each user.
        let token = try ConfabServer.token(for: "reader-\(conversation)-\(name)")
        return try RawWebSocketClient(
            "/conversations/\(conversation)/?token=\(token)", port: port)
    }

    /// The next frame with messages.
    private func page(from socket: RawWebSocketClient) throws -> ServerFrame {
        let deadline = Deadline()
        while true {
            guard case .text(let text) = try socket.next(within: deadline.remaining) else {
                throw TestFailure("the history has no end")
            }
            let frame = try ServerFrame(text)
            if frame.type == "error" { throw TestFailure("the history could not be read: \(text)") }
            if frame.messages != nil { return frame }
        }
    }
}
