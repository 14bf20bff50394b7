import Bytes
import Foundation
import TestKit
import Testing

@testable import Telemetry

/// A pipe and a writer into it.
private struct LogPipe {
    let pipe: PrivatePipe
    let writer: LogWriter

    init(queueLimit: Int = 1 << 20) throws {
        self.pipe = try PrivatePipe()
        self.writer = LogWriter(
            descriptor: self.pipe.writing.fileDescriptor, queueLimit: queueLimit)
    }

    /// Everything that was written, once nothing waits.
    func finishAndRead() throws -> String {
        #expect(self.writer.flush(within: .seconds(20)))
        try self.pipe.writing.close()
        return String(decoding: try self.pipe.reading.readToEnd() ?? Data(), as: UTF8.self)
    }

    /// What lies in the pipe, which may be nothing: a line counts as waiting until a moment after it was written.
    func read() -> String {
        guard Self.isReady(self.pipe.reading, for: POLLIN) else { return "" }
        return String(decoding: self.pipe.reading.availableData, as: UTF8.self)
    }

    /// False while the pipe is full.
    var isWritable: Bool { Self.isReady(self.pipe.writing, for: POLLOUT) }

    private static func isReady(_ end: FileHandle, for event: Int32) -> Bool {
        var asked = pollfd(fd: end.fileDescriptor, events: Int16(event), revents: 0)
        return poll(&asked, 1, 0) > 0
    }

    func logger(_ level: LogLevel = .info, _ format: LogFormat = .text) -> Logger {
        Logger(level: level, format: format, writer: self.writer) {
            Timestamp(milliseconds: 1_769_860_800_123)
        }
    }
}

@Suite("The log")
struct LoggerTests {
    @Test("writes an event as one line: time, level, name, fields")
    func textLine() throws {
        let pipeline = try LogPipe()
        pipeline.logger().info(
            "connection closed",
            [
                "connection": 12, "code": 1001, "clean": true,
                "lag": LogValue(.milliseconds(1_250)), "load": 0.5,
            ])
        #expect(
            try pipeline.finishAndRead()
                == "2026-01-31T12:00:00.123Z info connection closed connection=12 code=1001 clean=true lag=1.250s load=0.5\n"
        )
    }

    @Test("writes JSON that a strict parser reads back")
    func jsonLine() throws {
        let pipeline = try LogPipe()
        let awkward = "a \"quote\", a \\ and\nlines\u{1b}[31m \u{2028} 🙂"
        pipeline.logger(.info, .json).warning(
            "frame refused", ["why": .text(awkward), "bytes": -5, "nan": .number(.nan)])
        let line = try pipeline.finishAndRead()
        #expect(
            line.hasPrefix(
                "{\"time\":\"2026-01-31T12:00:00.123Z\",\"level\":\"warning\",\"msg\":\"frame refused\","
            ))
        let object = try #require(
            JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(object["why"] as? String == awkward)
        #expect(object["bytes"] as? Int == -5)
        #expect(object["nan"] is NSNull)
    }

    @Test("lets no value break a line or reach the terminal", arguments: LogFormat.allCases)
    func injection(format: LogFormat) throws {
        for scalar in (0..<0x3000).compactMap(Unicode.Scalar.init) where scalar.breaksLine {
            let pipeline = try LogPipe()
            pipeline.logger(.info, format).info("named", ["value": .text("a\(scalar)b")])
            let line = try pipeline.finishAndRead()
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
        let pipeline = try LogPipe()
        pipeline.logger().info("named", ["v": .text(value)])
        #expect(try pipeline.finishAndRead().hasSuffix(" v=\(expected)\n"))
    }

    @Test("cuts a long value between characters")
    func longValue() throws {
        for padding in 0..<4 {
            let pipeline = try LogPipe()
            pipeline.logger().info(
                "named",
                [
                    "v": .text(
                        String(repeating: "x", count: padding) + String(repeating: "🙂", count: 2000)
                    )
                ])
            let line = try pipeline.finishAndRead()
            #expect(line.utf8.count < 1100)
            #expect(line.hasSuffix("🙂…\n"))
            #expect(!line.contains("\u{FFFD}"))
        }
    }

    @Test(
        "writes its level and graver, and makes no fields for the others",
        arguments: LogLevel.allCases)
    func levels(threshold: LogLevel) throws {
        let pipeline = try LogPipe()
        let logger = pipeline.logger(.error)
        logger.level = threshold
        #expect(logger.level == threshold)
        var made: [LogLevel] = []
        func note(_ level: LogLevel) -> LogValue {
            made.append(level)
            return true
        }
        logger.debug("a", ["v": note(.debug)])
        logger.info("a", ["v": note(.info)])
        logger.warning("a", ["v": note(.warning)])
        logger.error("a", ["v": note(.error)])
        #expect(made == LogLevel.allCases.filter { $0 >= threshold })
        let lines = try pipeline.finishAndRead().split(separator: "\n").map {
            $0.split(separator: " ")[1]
        }
        #expect(lines == made.map { Substring($0.rawValue) })
    }

    @Test("says that it is ready in a line of its own, whatever the level")
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
                "\"msg\":\"ready\",\"url\":\"http://127.0.0.1:8080\",\"node\":\"a-1\",\"store\":\"sqlite\""
            ))
    }

    @Test("keeps a caller's order and mixes no two lines, from however many threads")
    func threads() async throws {
        let pipeline = try LogPipe()
        let logger = pipeline.logger()
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    for number in 0..<100 {
                        logger.info("step", ["task": LogValue(task), "number": LogValue(number)])
                    }
                }
            }
        }
        // On a thread of its own: those that tests share may all be blocked by other tests.
        async let reading = withCheckedContinuation { done in
            Thread.detachNewThread {
                done.resume(returning: pipeline.pipe.reading.readDataToEndOfFile())
            }
        }
        #expect(logger.flush(within: .seconds(20)))
        try pipeline.pipe.writing.close()
        let lines = String(decoding: await reading, as: UTF8.self).split(separator: "\n")
        #expect(lines.count == 800)
        for task in 0..<8 {
            let mine = lines.filter { $0.contains(" task=\(task) ") }
            #expect(
                mine.map { $0.split(separator: "=").last.flatMap { Int($0) } } == Array(0..<100))
        }
    }

    @Test("drops what nobody reads, never waits for it, and says how much was lost")
    func unreadPipe() throws {
        let pipeline = try LogPipe(queueLimit: 4096)
        let logger = pipeline.logger()
        // Until the pipe is full and the queue too: how much of each round gets into the pipe is the scheduler's choice.
        var said = 0
        repeat {
            for _ in 0..<500 {
                logger.info("step", ["number": LogValue(said)])
                said += 1
            }
        } while said < 5_000_000
            && (pipeline.isWritable || logger.flush(within: .milliseconds(100))
                || logger.droppedCount == 0)
        let dropped = logger.droppedCount
        #expect(dropped > 0)
        var text = ""
        while !logger.flush(within: .milliseconds(10)) { text += pipeline.read() }
        logger.info("last")
        text += try pipeline.finishAndRead()
        let lines = text.split(separator: "\n")
        let told = lines.filter { $0.contains(" warning log events dropped count=") }
        #expect(lines.filter { $0.contains(" info step ") }.count + Int(dropped) == said)
        #expect(
            told.compactMap { $0.split(separator: "=").last.flatMap { UInt64($0) } }.reduce(0, +)
                == dropped)
        // Where the sentences about it stand depends on when there was room for them.
        #expect(lines.last?.hasSuffix(" info last") == true)
    }

    @Test("outlives a reader that has gone")
    func brokenPipe() throws {
        let pipeline = try LogPipe()
        try pipeline.pipe.reading.close()
        let logger = pipeline.logger()
        // Again and again: a program that another test starts holds a copy of the end until it is its own program.
        try Deadline.wait(
            for: "a line to be dropped",
            untilTrue: {
                logger.info("nobody hears this")
                #expect(logger.flush(within: .seconds(20)))
                return logger.droppedCount > 0
            })
        #expect(logger.droppedCount == 1)
    }

    @Test("writes what was queued although the writer is let go")
    func flushAtRelease() throws {
        let pipe = try PrivatePipe()
        do {
            let logger = Logger(
                level: .info, format: .text,
                writer: LogWriter(descriptor: pipe.writing.fileDescriptor))
            logger.info("farewell")
        }
        let text = String(decoding: pipe.reading.availableData, as: UTF8.self)
        #expect(text.hasSuffix(" info farewell\n"))
    }
}
