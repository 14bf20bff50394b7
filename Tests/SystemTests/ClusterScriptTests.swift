import Glibc
import TestKit
import TestTraits
import Testing

/// `script/cluster` with the configuration in cluster/. `ReadmeTests` covers the README's tour of
/// it.
@Suite("script/cluster", .programs, .ownThread)
struct ClusterScriptTests {
    /// The next messages of a client, as `sender: content`; other frames are skipped.
    private func receiveMessages(_ count: Int, by client: PythonClient) throws -> [String] {
        let deadline = Deadline()
        var messages: [String] = []
        while messages.count < count {
            guard case .text(let frame) = try client.next(within: deadline.remaining) else {
                throw TestFailure("closed after \(messages)")
            }
            guard let message = try JSONObject(frame).object("message"),
                let sender = message["sender_id"]
            else { continue }
            messages.append("\(sender): \(message["content"] ?? "")")
        }
        return messages
    }

    private func closeEvent(of client: PythonClient) throws -> RawWebSocketClient.Event {
        let deadline = Deadline()
        while true {
            let event = try client.next(within: deadline.remaining)
            if case .text = event { continue }
            return event
        }
    }

    private func send(_ content: String, by client: PythonClient) throws {
        try client.send(#"{"action":"send_message","content":"\#(content)"}"#)
    }

    @Test(
        "moves clients of a killed or drained node to another, and back", .long,
        arguments: [[], ["--nginx"]])
    func rollingRestart(_ options: [String]) throws {
        let cluster = try LocalCluster(["2"] + options)
        let alice = try cluster.connect("alice")
        let home = try #require(
            cluster.awaitConnections(count: 1).first { $0.connections == 1 }?.node)
        let other = try #require(cluster.nodes.first { $0 != home })
        var bob = try Deadline.wait(for: "bob to reach \(other.name)") { () -> PythonClient? in
            let client = try cluster.connect("bob")
            if try cluster.awaitConnections(count: 2).map(\.connections) == [1, 1] {
                return client
            }
            // The load balancer skips a node that is unhealthy for a moment.
            try client.close(1000)
            _ = try cluster.awaitConnections(count: 1)
            return nil
        }
        try self.send("one", by: alice)
        #expect(try self.receiveMessages(1, by: alice) == ["alice: one"])
        #expect(try self.receiveMessages(1, by: bob) == ["alice: one"])

        // The script must not restart the node yet.
        try cluster.script.freeze()
        defer { cluster.script.send(SIGCONT) }
        kill(other.process, SIGKILL)
        #expect(try self.closeEvent(of: bob) == .close(code: 1006, reason: ""))
        bob = try cluster.connect("bob", after: 1)
        try self.send("two", by: alice)
        try self.send("three", by: alice)
        #expect(try self.receiveMessages(2, by: bob) == ["alice: two", "alice: three"])
        #expect(try self.receiveMessages(2, by: alice) == ["alice: two", "alice: three"])
        #expect(cluster.connections(of: other) == nil)
        cluster.script.send(SIGCONT)
        try cluster.awaitRestart(of: other)
        // The load balancer may notice the restart with a delay.
        var others: [PythonClient] = []
        try Deadline.wait(for: "new clients to reach \(other.name)") {
            others.append(try cluster.connect("carol", to: "elsewhere"))
            return try cluster.awaitConnections(count: 2 + others.count).first { $0.node == other }!
                .connections > 0
        }

        kill(home.process, SIGTERM)
        #expect(
            try self.closeEvent(of: alice)
                == .close(code: 1012, reason: "the node is going down; connect again"))
        let back = try cluster.connect("alice", after: 3)
        try self.send("four", by: back)
        #expect(try self.receiveMessages(1, by: back) == ["alice: four"])

        #expect(try cluster.stop() == .exited(0))
        #expect(try !LocalCluster.isRunning(in: cluster.folder))
    }

    @Test("ends with the log's tail and status 1 if a process does not start")
    func failure() throws {
        let folder = try TemporaryFolder()
        let broken = folder.file("broken")
        // Written by another process: a program that a process starts meanwhile would inherit the
        // open file, and a file that is open for writing cannot be executed.
        let written = try run(
            "/bin/sh",
            [
                "-c",
                #"printf '#!/bin/sh\necho this program is broken\nexit 3\n' >$0 && chmod +x $0"#,
                broken,
            ])
        #expect(written.exitStatus == .exited(0), "\(written.errors)")

        let script = try run(
            Checkout.file("script/cluster"), ["2", "--admin-port", "0", "--folder", folder.path],
            environment: ["CONFAB_BINARY": broken], within: .seconds(90))

        #expect(script.exitStatus == .exited(1))
        #expect(
            script.errors.contains(
                "n1 did not start. The end of \(folder.path)/n1.log:\nthis program is broken"))
        #expect(try !LocalCluster.isRunning(in: folder))
    }

    @Test(
        "ends all processes on SIGTERM, even during its start",
        arguments: TestRun.isLong ? [0, 500, 1000] : [500])
    func earlyEnd(_ milliseconds: Int32) throws {
        let folder = try TemporaryFolder()
        let script = try ChildProcess(
            Checkout.file("script/cluster"), ["2", "--admin-port", "0", "--folder", folder.path],
            environment: ["CONFAB_BINARY": Checkout.confab])
        try Deadline.wait(for: "the lock", untilTrue: { folder.hasFile("redis") })
        poll(nil, 0, milliseconds)

        script.send(SIGTERM)

        #expect(try script.waitForExit(within: .seconds(90)) == .exited(0))
        #expect(try !LocalCluster.isRunning(in: folder))
    }

    @Test(
        "reports invalid arguments in one line and exits with 2",
        arguments: [
            (["0"], "\"0\" is not a number of nodes: 1 to 99"),
            (["3", "4"], "one number is enough; see --help"),
            (["--port", "http"], "--port: \"http\" is not a port"),
            (["--admin-port", "65535"], "--admin-port: \"65535\" is not a port for 3 nodes"),
            (["--folder"], "--folder needs a value; see --help"),
            (["--caddy"], "unknown option --caddy; see --help"),
        ])
    func usage(_ arguments: [String], _ complaint: String) throws {
        let script = try run(
            Checkout.file("script/cluster"), arguments,
            environment: ["CONFAB_BINARY": Checkout.confab])
        #expect(script.exitStatus == .exited(2))
        #expect(script.errors == "script/cluster: \(complaint)")
    }

    @Test("reports a port or folder in use in one line and exits with 1")
    func portOrFolderInUse() throws {
        let redis = try RedisServer()
        let folder = try TemporaryFolder()
        func attempt(_ arguments: [String]) throws -> String {
            let script = try run(
                Checkout.file("script/cluster"), arguments,
                environment: ["CONFAB_BINARY": Checkout.confab])
            #expect(script.exitStatus == .exited(1))
            return script.errors
        }

        #expect(
            try attempt(["--port", "\(redis.port)"])
                == "script/cluster: --port: \(redis.port) is in use")
        #expect(
            try attempt(["--admin-port", "\(redis.port)"])
                == "script/cluster: --admin-port: \(redis.port) is in use; --admin-port 0 takes "
                + "free ports")
        let holder = try ChildProcess(
            "/usr/bin/flock", [folder.file("lock"), "/bin/sh", "-c", "echo held; read -r line"])
        defer { holder.kill() }
        try holder.output.line(with: "held")
        #expect(
            try attempt(["--admin-port", "0", "--folder", folder.path])
                == "script/cluster: --folder: another cluster runs in \(folder.path)")
        holder.closeInput()
    }
}
