import Bytes
import Foundation
import TestKit
import Testing

@testable import Telemetry

@Suite("The capture of standard error")
struct StandardErrorCaptureTests {
    @Test("logs each line as an event, and restores the descriptor")
    func lines() throws {
        let pipe = try PrivatePipe()
        let descriptor = pipe.writing.fileDescriptor
        let capture = try #require(StandardErrorCapture(of: descriptor))
        // Standard error is inherited. A process that another test starts would keep this pipe
        // open, so that the capture does not see its end.
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        let logger = Logger(
            level: .info, format: .json, writer: LogWriter(descriptor: capture.destination)
        ) { Timestamp(milliseconds: 0) }
        capture.start(logger)
        logger.info("first")
        #expect(logger.flush(within: Deadline.defaultTimeout))
        func write(_ text: String) {
            var bytes = Array(text.utf8)
            #expect(Glibc.write(descriptor, &bytes, bytes.count) == bytes.count)
        }
        write("a \"quoted\"\n\nli")
        write("ne\n\(String(repeating: "x", count: 1500))\nwithout an end")
        capture.stop()
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        #expect(logger.flush(within: Deadline.defaultTimeout))
        write("not captured\n")

        try pipe.writing.close()
        close(capture.destination)
        let text = String(decoding: try pipe.reading.readToEnd() ?? Data(), as: UTF8.self)
        let lines = text.split(separator: "\n").map(String.init)
        #expect(lines.last == "not captured")
        let objects = try lines.dropLast().map { try JSONObject($0) }
        #expect(objects.first?["msg"] == "first")
        #expect(
            objects.dropFirst().map { $0["text"] } == [
                "a \"quoted\"", "line", String(repeating: "x", count: 1024),
                String(repeating: "x", count: 476), "without an end",
            ])
        #expect(objects.dropFirst().allSatisfy { $0["msg"] == "standard error written" })
    }
}
