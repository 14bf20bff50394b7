import Bytes
import Foundation
import TestKit
import TestTraits
import Testing

@testable import Telemetry

/// A pipe and a log writer that writes to it.
private struct LogPipe {
    let pipe: PrivatePipe
    let writer: LogWriter

    init(queueLimit: Int = 1 << 20) throws {
        self.pipe = try PrivatePipe()
        self.writer = LogWriter(
            descriptor: self.pipe.writing.fileDescriptor, queueLimit: queueLimit)
    }

    /// Everything that was written, once the queue is empty.
    func finishAndRead() throws -> String {
        #expect(self.writer.flush(within: Deadline.defaultTimeout))
        try self.pipe.writing.close()
        return String(decoding: try self.pipe.reading.readToEnd() ?? Data(), as: UTF8.self)
    }

    /// The contents of the pipe, which may be empty: a line counts as queued until shortly after it
    /// was written.
    func read() -> String {
        guard Self.isReady(self.pipe.reading, for: POLLIN) else { return "" }
        return String(decoding: self.pipe.reading.availableData, as: UTF8.self)
    }

    /// False while the pipe is full.
    var isWritable: Bool { Self.isReady(self.pipe.writing, for: POLLOUT) }

    private static func isReady(_ end: FileHandle, for event: Int32) -> Bool {
        var entry = pollfd(fd: end.fileDescriptor, events: Int16(event), revents: 0)
        return poll(&entry, 1, 0) > 0
    }

    func logger(_ level: LogLevel = .info, _ format: LogFormat = .text) -> Logger {
        Logger(level: level, format: format, writer: self.writer) {
            Timestamp(milliseconds: 1_769_860_800_123)
        }
    }
}

@Suite("The log", .ownThread)
struct LoggerTests {
    @Test("writes an event as one line: time, level, name, fields")
    func textLine() throws {
        let log = try LogPipe()
        log.logger().info(
            "connection closed",
            [
                "connection": 12, "code": 1001, "clean": true,
                "lag": LogValue(.milliseconds(1_250)), "load": 0.5,
            ])
        #expect(
            try log.finishAndRead()
                == """
                2026-01-31T12:00:00.123Z info connection closed connection=12 code=1001 \
                clean=true lag=1.250s load=0.5\n
                """
        )
    }

    @Test("writes JSON that a strict parser accepts")
    func jsonLine() throws {
        let log = try LogPipe()
        let awkward = "a \"quote\", a \\ and\nlines\u{1b}[31m \u{2028} 🙂"
        log.logger(.info, .json).warning(
            "frame refused", ["why": .text(awkward), "bytes": -5, "nan": .number(.nan)])
        let line = try log.finishAndRead()
        #expect(
            line.hasPrefix(
                """
                {\"time\":\"2026-01-31T12:00:00.123Z\",\"level\":\"warning\",\"msg\":\"frame \
                refused\",
                """
            ))
        let object = try #require(
            JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(object["why"] as? String == awkward)
        #expect(object["bytes"] as? Int == -5)
        #expect(object["nan"] is NSNull)
    }

    @Test(
        "escapes values that would break a line or control the terminal",
        arguments: LogFormat.allCases)
    func injection(format: LogFormat) throws {
        for scalar in (0..<0x3000).compactMap(Unicode.Scalar.init) where scalar.breaksLine {
            let log = try LogPipe()
            log.logger(.info, format).info("named", ["value": .text("a\(scalar)b")])
            let line = try log.finishAndRead()
            #expect(
                line.unicodeScalars.filter(\.breaksLine).map(\.value) == [0x0A],
                "U+\(String(scalar.value, radix: 16))")
        }
    }

    @Test(
        "quotes a value that does not read as one word",
        arguments: [
            ("plain", "plain"), ("", "\"\""), ("two words", "\"two words\""), ("a=b", "\"a=b\""),
            ("\"", "\"\\\"\""), ("é🙂", "é🙂"),
        ])
    func quoting(value: String, expected: String) throws {
        let log = try LogPipe()
        log.logger().info("named", ["v": .text(value)])
        #expect(try log.finishAndRead().hasSuffix(" v=\(expected)\n"))
    }

    @Test("cuts a long value between characters")
    func longValue() throws {
        for padding in 0..<4 {
            let log = try LogPipe()
            log.logger().info(
                "named",
                [
                    "v": .text(
                        String(repeating: "x", count: padding) + String(repeating: "🙂", count: 2000)
                    )
                ])
            let line = try log.finishAndRead()
            #expect(line.utf8.count < 1100)
            #expect(line.hasSuffix("🙂…\n"))
            #expect(!line.contains("\u{FFFD}"))
        }
    }

    @Test(
        "writes events of its level and above, and does not evaluate the fields of others",
        arguments: LogLevel.allCases)
    func levels(threshold: LogLevel) throws {
        let log = try LogPipe()
        let logger = log.logger(.error)
        logger.level = threshold
        #expect(logger.level == threshold)
        var evaluated: [LogLevel] = []
        func evaluate(_ level: LogLevel) -> LogValue {
            evaluated.append(level)
            return true
        }
        logger.debug("a", ["v": evaluate(.debug)])
        logger.info("a", ["v": evaluate(.info)])
        logger.warning("a", ["v": evaluate(.warning)])
        logger.error("a", ["v": evaluate(.error)])
        #expect(evaluated == LogLevel.allCases.filter { $0 >= threshold })
        let lines = try log.finishAndRead().split(separator: "\n").map {
            $0.split(separator: " ")[1]
        }
        #expect(lines == evaluated.map { Substring($0.rawValue) })
    }

    @Test("writes the ready line at every level")
    func ready() throws {
        let text = try LogPipe()
        text.logger(.error).ready(url: "http://127.0.0.1:8080", node: "a-1", store: "sqlite")
        #expect(
            try text.finishAndRead()
                == "confab ready on http://127.0.0.1:8080 (node a-1, store sqlite)\n")
        let json = try LogPipe()
        json.logger(.error, .json).ready(url: "http://127.0.0.1:8080", node: "a-1", store: "sqlite")
        let line = try json.finishAndRead()
        #expect(
            line.contains(
                """
                \"msg\":\"ready\",\"url\":\"http://127.0.0.1:8080\",\"node\":\"a-1\",\
                \"store\":\"sqlite\"
                """
            ))
    }

    @Test("keeps the order of each caller and mixes no lines, from any number of threads")
    func threads() async throws {
        let log = try LogPipe()
        let logger = log.logger()
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    for number in 0..<100 {
                        logger.info("step", ["task": LogValue(task), "number": LogValue(number)])
                    }
                }
            }
        }
        // On a separate thread: other tests may block all threads of the shared pool.
        async let reading = withCheckedContinuation { done in
            Thread.detachNewThread {
                done.resume(returning: log.pipe.reading.readDataToEndOfFile())
            }
        }
        #expect(logger.flush(within: Deadline.defaultTimeout))
        try log.pipe.writing.close()
        let lines = String(decoding: await reading, as: UTF8.self).split(separator: "\n")
        #expect(lines.count == 800)
        for task in 0..<8 {
            let own = lines.filter { $0.contains(" task=\(task) ") }
            #expect(
                own.map { $0.split(separator: "=").last.flatMap { Int($0) } } == Array(0..<100))
        }
    }

    @Test("drops lines instead of blocking when the pipe is full, and reports how many")
    func unreadPipe() throws {
        let log = try LogPipe(queueLimit: 4096)
        let logger = log.logger()
        // Until both the pipe and the queue are full. The scheduler determines how much of each
        // round reaches the pipe.
        var logged = 0
        repeat {
            for _ in 0..<500 {
                logger.info("step", ["number": LogValue(logged)])
                logged += 1
            }
        } while logged < 5_000_000
            && (log.isWritable || logger.flush(within: .milliseconds(100))
                || logger.droppedCount == 0)
        let dropped = logger.droppedCount
        #expect(dropped > 0)
        var text = ""
        while !logger.flush(within: .milliseconds(10)) { text += log.read() }
        logger.info("last")
        text += try log.finishAndRead()
        let lines = text.split(separator: "\n")
        let reports = lines.filter { $0.contains(" warning log events dropped count=") }
        #expect(lines.filter { $0.contains(" info step ") }.count + Int(dropped) == logged)
        #expect(
            reports.compactMap { $0.split(separator: "=").last.flatMap { UInt64($0) } }.reduce(0, +)
                == dropped)
        // The position of the reports depends on when the queue had space.
        #expect(lines.last?.hasSuffix(" info last") == true)
    }

    @Test("survives a reader that closes the pipe")
    func brokenPipe() throws {
        let log = try LogPipe()
        try log.pipe.reading.close()
        let logger = log.logger()
        // Repeated, because a program that another test starts holds a copy of the descriptor until
        // its exec.
        try Deadline.wait(
            for: "a line to be dropped",
            untilTrue: {
                logger.info("lost event")
                #expect(logger.flush(within: Deadline.defaultTimeout))
                return logger.droppedCount > 0
            })
        #expect(logger.droppedCount == 1)
    }

    @Test("writes queued lines after the writer was released")
    func flushAtRelease() throws {
        let pipe = try PrivatePipe()
        do {
            let logger = Logger(
                level: .info, format: .text,
                writer: LogWriter(descriptor: pipe.writing.fileDescriptor))
            logger.info("last event")
        }
        let text = String(decoding: pipe.reading.availableData, as: UTF8.self)
        #expect(text.hasSuffix(" info last event\n"))
    }
}
