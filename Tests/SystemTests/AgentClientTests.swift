import TestKit
import TestTraits
import Testing

/// Agents written with third-party libraries: Node.js with Debian's `ws`, and Python's
/// `websockets`.
@Suite("Agents in other languages", .programs, .ownThread)
struct AgentClientTests {
    private func url(at system: DeployedSystem, _ user: String) throws -> String {
        let token = try system.token(user, conversations: ["channel-123"])
        return "ws://127.0.0.1:\(system.port)/v1/ws?token=\(token)&channel_id=channel-123"
    }

    private static let node = ["NODE_PATH": "/usr/share/nodejs"]

    @Test("exchange messages", arguments: Deployment.usual)
    func ownClients(_ deployment: Deployment) throws {
        let system = try DeployedSystem(deployment)
        let client = Checkout.file("Tests/SystemTests/Clients/agent")
        let js = try ChildProcess(
            "/usr/bin/node",
            ["\(client).js", url(at: system, "js-agent"), "Hello from JavaScript"],
            environment: Self.node)
        defer { js.kill() }
        try js.output.line(with: "stored js-1 as 1")
        let python = try ChildProcess(
            Checkout.python(), ["\(client).py", url(at: system, "py-agent"), "Hello from Python"])
        defer { python.kill() }
        try python.output.line(with: "stored py-1 as 2")
        try js.output.line(with: #"py-agent: Hello from Python {"from":"py"}"#)
    }

    // MARK: Published clients

    /// The published client, with only the address and the token replaced.
    private func publishedClient(_ language: String, at system: DeployedSystem, as user: String)
        throws -> String
    {
        let block = try #require(
            PublishedDocument.agents.blocks(language).first {
                $0.contains("class ArtCafeWebSocketClient")
            })
        return try block.replacing(
            "wss://api.artcafe.ai/v1", with: "ws://127.0.0.1:\(system.port)/v1"
        )
        .replacing("your_jwt_token", with: system.token(user, conversations: ["channel-123"]))
    }

    @Test(
        "work with the published clients, unmodified",
        .published(.agents),
        arguments: Deployment.usual)
    func publishedClients(_ deployment: Deployment) throws {
        let system = try DeployedSystem(deployment)
        let folder = try TemporaryFolder()
        // Browsers provide WebSocket as a global.
        let global = try folder.write("globalThis.WebSocket = require(\"ws\");\n", to: "global.cjs")
        let script = try folder.write(
            self.publishedClient("javascript", at: system, as: "js-agent"), to: "client.cjs")
        let js = try ChildProcess("/usr/bin/node", ["-r", global, script], environment: Self.node)
        defer { js.kill() }
        try js.output.line(with: "Message sent and acknowledged")
        let program = try folder.write(
            self.publishedClient("python", at: system, as: "py-agent"), to: "client.py")
        let python = try ChildProcess(Checkout.python(), ["-u", program])
        defer { python.kill() }
        try python.output.line(
            with: "Message sent and acknowledged: {'type': 'ACK', 'message_id': '")
        // Each agent receives the messages after its arrival.
        try js.output.line(with: "Received message:")
        try js.output.line(with: "agent_id: 'py-agent'")
        #expect(python.output.lines.allSatisfy { !$0.contains("Error") })
    }
}
