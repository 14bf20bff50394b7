import Bytes
import ChatModel
import SeededRandom
import StoreTestSupport
import TestKit
import Testing

@testable import EmbeddedStore

@Suite("The bytes of annotations")
struct AnnotationBytesTests {
    private static func decode(_ bytes: [UInt8]) -> MessageAnnotations? {
        bytes.withUnsafeBytes { MessageAnnotations(stored: $0) }
    }

    private static let ann = TestOwner.person("ann")
    private static let robot = TestOwner.person("robot")

    private static func annotations(
        reply: Reply? = nil, mentions: Mentions? = nil, reactions: Reactions? = nil,
        pin: PinState? = nil
    ) -> MessageAnnotations {
        MessageAnnotations(reply: reply, mentions: mentions, reactions: reactions, pin: pin)!
    }

    private static let examples = [
        annotations(reply: Reply(to: 1, thread: 1)),
        annotations(reply: Reply(to: .max, thread: .min)),
        annotations(mentions: Mentions()), annotations(reactions: Reactions()),
        annotations(mentions: Mentions(includesEveryone: true, nonMembers: [ann.id])),
        annotations(pin: PinState(isPinned: false, by: ann, at: Timestamp(milliseconds: -1))),
        annotations(
            reply: Reply(to: 300, thread: 127),
            mentions: Mentions(users: [ann.id, UserID(anonymous: "ünï")], nonMembers: [robot.id]),
            reactions: Reactions([
                .init(
                    Emoji(stored: "👩‍👩‍👧"),
                    users: (0..<200).map { UserID(assigned: ByteString("\($0)")) }),
                .init(Emoji(stored: ":tada:"), users: [ann.id]),
            ]),
            pin: PinState(isPinned: true, by: robot, at: TestOwner.time(1))),
    ]

    @Test("have everything that was stored", arguments: examples.indices)
    func roundTrip(_ index: Int) {
        let annotations = Self.examples[index]
        #expect(Self.decode(annotations.bytes)?.text == annotations.text)
    }

    @Test("are one flag and two numbers for a reply")
    func compact() {
        #expect(Self.annotations(reply: Reply(to: 9, thread: 7)).bytes == [1, 9, 7])
    }

    @Test("are rejected if any are missing or follow", arguments: examples.indices)
    func cutOff(_ index: Int) {
        let bytes = Self.examples[index].bytes
        for count in 0..<bytes.count {
            #expect(Self.decode(Array(bytes.prefix(count))) == nil, "\(count) bytes")
        }
        #expect(Self.decode(bytes + [0]) == nil)
    }

    @Test(
        "are rejected with flags, numbers or texts that are never written",
        arguments: [
            [], [0], [64], [128], [16], [32], [17, 1, 1],
            // Numbers with a superfluous byte, or with more than 64 bits.
            [1, 0x80, 0, 1], [1] + [UInt8](repeating: 0xFF, count: 9) + [2, 1],
            // Counts beyond the bytes, and below 0.
            [2, 200, 1], [2, 5, 0, 0],
            [4, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1],
            // A text that is not UTF-8, and two agents.
            [2, 1, 1, 0xFF, 0], [8, 0, 1, 0x61, 1, 0x61, 2, 1, 0x61, 1, 0x61],
        ])
    func malformed(_ bytes: [UInt8]) {
        #expect(Self.decode(bytes) == nil)
    }

    @Test(
        "are rejected, or are those of what is read, for any flipped bits", arguments: UInt64(1)...3
    )
    func flipped(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<5000 {
            var bytes = Self.examples.randomElement(using: &random)!.bytes
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] ^=
                    1 << UInt8.random(in: 0..<8, using: &random)
            }
            if let annotations = Self.decode(bytes) { #expect(annotations.bytes == bytes) }
        }
    }

    @Test("that were changed in a file make the message damaged, and no other")
    func damagedRow() async throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/confab.db"
        var store = try SQLiteStore(path: path, history: 100)
        var owner = await store.createConversation(ConversationKey(tenant: "acme", id: "rex"))
        _ = await store.write(
            [
                owner.post("one"), owner.post("two", reply: Reply(to: 1, thread: 1)),
                owner.post("three"),
            ], by: owner)
        let third = try #require(await store.page(owner.key, .newest, limit: 1)?.messages.first)
        _ = await store.write([owner.pin(third)], by: owner)
        store.close()
        do {
            let connection = try SQLiteConnection(path: path, access: .readWrite)
            try connection.execute(
                "UPDATE messages SET annotations = x'010101FF' WHERE sequence = 2")
        }
        store = try SQLiteStore(path: path, history: 100)
        let answer = await store.request(.page(owner.key, .newest, limit: 2))
        #expect(answer.text == "failed")
        #expect(await store.page(owner.key, .newest, limit: 1)?.messages.first?.isPinned == true)
        owner.epoch = await store.claim(owner.key.shard, by: owner.id)
        let second = Message(
            sequence: 2, revision: 0, sentAt: TestOwner.time(0),
            body: MessageBody(author: Self.ann, clientMessageID: nil, content: ""))
        #expect(
            await store.write([owner.react(to: second, "👍")], by: owner) == .refused([0: .damaged]))
        store.close()
        do {
            let connection = try SQLiteConnection(path: path, access: .readWrite)
            try connection.execute("UPDATE pins SET annotations = NULL")
        }
        store = try SQLiteStore(path: path, history: 100)
        guard case .failed(let failure) = await store.request(.load(owner.key)) else {
            return _ = Issue.record("a damaged pin was read")
        }
        #expect(failure.description.contains("a pinned message of conversation 1 is not"))
        store.close()
    }
}
