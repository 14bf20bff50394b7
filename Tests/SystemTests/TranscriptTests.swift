import TestKit
import Testing

private let pages = Result {
    try ["conversations", "pets", "chats", "agents", "rooms"].flatMap {
        try Transcript.all(of: "docs/protocols/\($0).md")
    }
}

/// The pages of the protocols and the server say the same, whoever asks.
@Suite("What the pages show happens")
struct TranscriptTests {
    @Test("to stock clients", arguments: try pages.get(), StockClientKind.allCases)
    func stock(_ transcript: Transcript, with client: StockClientKind) throws {
        let server = try ConfabServer(transcript.options)
        try transcript.play { try client.connect($0, port: server.port) }
    }

    @Test("in Chromium, with the close codes that it sees")
    func browser() throws {
        let browser = try Browser()
        for transcript in try pages.get() {
            let server = try ConfabServer(transcript.options)
            try transcript.play { path in
                // A page of the server's own origin, a tab for every client.
                let tab = try browser.open("http://127.0.0.1:\(server.port)/api/health")
                return try BrowserClient(path, in: tab, port: server.port)
            }
        }
    }
}
