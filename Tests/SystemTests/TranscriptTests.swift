import TestKit
import Testing

private let conversationsPage = Result { try Transcript.all(of: "docs/protocols/conversations.md") }

/// The pages of the protocols and the server say the same, whoever asks.
@Suite("What the pages show happens")
struct TranscriptTests {
    @Test("Conversations", arguments: try conversationsPage.get(), StockClientKind.allCases)
    func conversations(_ transcript: Transcript, with client: StockClientKind) throws {
        let server = try ConfabServer(transcript.options)
        try transcript.play { try client.connect($0, port: server.port) }
    }

    @Test("Conversations in Chromium, with the close codes that it sees")
    func browser() throws {
        let browser = try Browser()
        for transcript in try conversationsPage.get() {
            let server = try ConfabServer(transcript.options)
            try transcript.play { path in
                // A page of the server's own origin, a tab for every client.
                let tab = try browser.open("http://127.0.0.1:\(server.port)/api/health")
                return try BrowserClient(path, in: tab, port: server.port)
            }
        }
    }
}
