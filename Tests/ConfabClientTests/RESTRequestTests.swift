import EventLoop
import JSON
import TestTraits
import Testing

import struct TestKit.Deadline

@testable import ConfabClient

@Suite("A REST request of the Swift client", .ownThread)
struct RESTRequestTests {
    private func text(_ request: RESTRequest, to url: String, token: String? = nil) throws
        -> [String]
    {
        let server = ChatURL(try WebSocketURL(url), among: ChatDialect.all)
        return String(decoding: request.bytes(to: server, token: token), as: UTF8.self)
            .split(separator: "\r\n", omittingEmptySubsequences: false).map(String.init)
    }

    @Test(
        "goes below the path at which the server is mounted, without the URL's query",
        arguments: [
            ("http://h:8080", "/api"), ("http://h:8080/", "/api"),
            ("ws://h:8080/conversations/lobby/?token=t&after=3", "/api"),
            ("http://h:8080/chat/conversations/lobby/?token=t", "/chat/api"),
            ("http://h:8080/chat", "/chat/api"),
        ])
    func mount(_ url: String, _ prefix: String) throws {
        let request = RESTRequest("GET", "/conversations").setting("limit", to: "5")
            .setting("cursor", to: nil).setting("mine", to: "a&b")
        let lines = try self.text(request, to: url)
        #expect(lines[0] == "GET \(prefix)/conversations?limit=5&mine=a%26b HTTP/1.1")
        #expect(lines.contains("Host: h:8080") && lines.contains("Connection: close"))
        #expect(!lines.contains { $0.hasPrefix("Authorization") || $0.hasPrefix("Content") })
    }

    @Test("encodes ids, carries the token in a field, and states the length of its body")
    func parts() throws {
        let request = RESTRequest("POST", of: "a/b c", ["members", "é"], ["user_id": "é"])
        let lines = try self.text(request, to: "https://h/", token: "x.y.z")
        #expect(lines[0] == "POST /api/conversations/a%2Fb%20c/members/%C3%A9 HTTP/1.1")
        #expect(lines.contains("Host: h") && lines.contains("Authorization: Bearer x.y.z"))
        #expect(lines.contains("Content-Length: 16") && lines.last == #"{"user_id":"é"}"#)
    }

    @Test("ends with the cancellation of its task, and with the client")
    func ending() async throws {
        // Its kernel accepts connections, and no answer ever comes.
        let listener = try ListeningSocket.open(host: "127.0.0.1", port: 0)
        defer { listener.socket.close() }
        let confab = try Confab("http://127.0.0.1:\(listener.address.port)", token: "e30.e30.c2ln")
        var sockets: [Socket] = []
        defer { for socket in sockets { socket.close() } }
        func callInFlight() throws -> Task<ConversationPage, any Error> {
            let call = Task { try await confab.list() }
            let socket = try Deadline.wait(for: "a connection") { () -> Socket? in
                guard case .accepted(let socket, _) = listener.accept() else { return nil }
                return socket
            }
            sockets.append(socket)
            return call
        }
        let cancelled = try callInFlight()
        cancelled.cancel()
        await #expect(throws: ConfabError.cancelled) { try await cancelled.value }
        let closed = try callInFlight()
        await confab.close()
        await #expect(throws: ConfabError.closed) { try await closed.value }
        await #expect(throws: ConfabError.closed) { try await confab.list() }
    }
}
