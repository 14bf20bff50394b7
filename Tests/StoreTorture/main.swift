// A process that tests kill, or for which they limit the disk space. It prints the answers that a
// client received.
import Bytes
import ChatModel
import EmbeddedStore
import Glibc
import StoreTestSupport
import Synchronization

let arguments = CommandLine.arguments
guard arguments.count == 3 else { fatalError("usage: StoreTorture hold|burst|search|full FILE") }
let owner = LoopID(incarnation: UInt64(getpid()), loop: 0)

func printLine(_ line: String) {
    let line = "\(line)\n"
    _ = write(1, line, line.utf8.count)
}

let store: SQLiteStore
do {
    var options = SQLiteOptions(history: 0)
    if arguments[1] == "search" {
        options.searchBacklogLimit = 16
        options.searchIdleTime = .zero
        options.searchInterval = .zero
    }
    store = try SQLiteStore(path: arguments[2], options: options)
} catch {
    printLine("refused: \(error)")
    exit(1)
}
printLine("open")

switch arguments[1] {
case "hold":
    // Blocks until the test closes standard input.
    _ = getchar()
    store.close()
case "burst":
    await BurstWriter(store).run()
case "search":
    await SearchWriter(store).run()
case "full":
    await FullDiskWriter(store).run()
default:
    fatalError("unknown act \(arguments[1])")
}

/// Writes continuously to 20 conversations at once, and prints each answer before the next write.
struct BurstWriter {
    let store: SQLiteStore

    init(_ store: SQLiteStore) {
        self.store = store
    }

    func run() async {
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<20 {
                group.addTask {
                    var testOwner = await self.store.createConversation(
                        ConversationKey(tenant: "acme", id: ByteString("burst-\(number)")),
                        by: owner)
                    while true {
                        let first = testOwner.head + 1
                        let writes = (0..<(1 + testOwner.head % 4)).map {
                            testOwner.post("\(number)/\(first + $0)")
                        }
                        guard await self.store.write(writes, by: testOwner) == .stored else {
                            fatalError("a write failed in conversation \(number)")
                        }
                        printLine("\(number) \(testOwner.head)")
                    }
                }
            }
        }
    }
}

/// Writes messages, and edits every tenth one together with the ten that follow it.
struct SearchWriter {
    let store: SQLiteStore

    init(_ store: SQLiteStore) {
        self.store = store
    }

    func run() async {
        var testOwner = await self.store.createConversation(
            ConversationKey(tenant: "acme", id: "rex"), by: owner)
        var last: Message?
        while true {
            var writes = last.map { [testOwner.edit($0, to: "edited \($0.sequence)")] } ?? []
            for _ in 0..<10 { writes.append(testOwner.post("word \(testOwner.head + 1)")) }
            if case .message(let message)? = writes.last?.change { last = message }
            guard await self.store.write(writes, by: testOwner) == .stored else {
                fatalError("a write failed")
            }
            printLine("\(testOwner.head)")
        }
    }
}

/// Writes until the disk is full, prints the failures, makes room, and writes again.
struct FullDiskWriter {
    let store: SQLiteStore

    init(_ store: SQLiteStore) {
        self.store = store
    }

    func run() async {
        // Ignored, so that a write beyond the limit fails instead of ending the process.
        signal(SIGXFSZ, SIG_IGN)
        var testOwner = await self.store.createConversation(
            ConversationKey(tenant: "acme", id: "full"), by: owner)
        self.limitFileSize(bytes: 400_000)
        var failures = 0
        while failures < 3 {
            var attempt = testOwner
            switch await self.store.request(
                .write(
                    WriteBatch(
                        owner: owner, writes: [attempt.post(String(repeating: "x", count: 5000))])))
            {
            case .written(.stored): testOwner = attempt
            case .failed(let failure):
                failures += 1
                printLine("failed at \(testOwner.head): \(failure)")
            case let answer: fatalError("unexpected: \(answer.text)")
            }
        }
        printLine("readable \(await self.store.load(testOwner.key)?.head ?? -1)")
        self.limitFileSize(bytes: .max)
        guard
            await self.store.write([testOwner.post("there is room again")], by: testOwner)
                == .stored
        else { fatalError("did not heal") }
        printLine("healed \(testOwner.head)")
        self.store.close()
    }

    private func limitFileSize(bytes: UInt) {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
        limit.rlim_cur = min(bytes, limit.rlim_max)
        setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
    }
}
