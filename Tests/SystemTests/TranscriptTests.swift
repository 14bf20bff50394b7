import TestKit
import Testing

/// The pages of the protocols and the server say the same.
@Suite("What the pages show happens")
struct TranscriptTests {
    @Test("Conversations", arguments: try Transcript.all(of: "docs/protocols/conversations.md"))
    func conversations(_ transcript: Transcript) throws {
        try transcript.play(against: ConfabServer(transcript.options))
    }
}
