import Dialects
import TestKit
import TestTraits
import Testing

private let pages = Result {
    try DialectList.all.names.flatMap {
        try Transcript.all(of: "docs/protocols/\($0).md")
    }
}

/// The examples on the protocol pages match the server's behaviour, with every client.
@Suite("The examples on the protocol pages", .programs, .ownThread)
struct TranscriptTests {
    /// Only `script/test --long` plays the one with a limit of one message per second: a busy
    /// machine can exceed its times.
    private static var transcripts: [Transcript] {
        get throws {
            try pages.get().filter {
                TestRun.isLong || !$0.options.contains("messages-per-second=1")
            }
        }
    }

    @Test(
        "work with third-party clients",
        arguments: try Self.transcripts,
        TestRun.isLong ? StockClientKind.allCases : [.testKit])
    func stock(_ transcript: Transcript, with client: StockClientKind) throws {
        let server = try ConfabServer(transcript.options)
        try transcript.play(port: server.port) { try client.connect($0, port: server.port) }
    }

    @Test("work in Chromium, with the close codes that it reports", .long)
    func browser() throws {
        let browser = try Browser()
        for transcript in try pages.get() {
            let server = try ConfabServer(transcript.options)
            try transcript.play(port: server.port) { path in
                // A page of the server's origin, in one tab per client.
                let tab = try browser.open("http://127.0.0.1:\(server.port)/api/health")
                return try BrowserClient(path, in: tab, port: server.port)
            }
        }
    }
}
