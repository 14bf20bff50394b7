import Foundation
import Synchronization

/// The lines that a process writes. A thread collects them, so that the process never blocks on its
/// output.
public final class LineLog: Sendable {
    private let state = Mutex(State())

    fileprivate struct State {
        var lines: [String] = []
        var partialLine: [UInt8] = []
        var isClosed = false
    }

    /// Reads `descriptor` to its end and closes it.
    init(_ descriptor: Int32) {
        Thread.detachNewThread { self.collect(descriptor) }
    }

    /// The complete lines so far.
    public var lines: [String] { self.state.withLock { $0.lines } }

    /// Whether all lines have been collected.
    var isClosed: Bool { self.state.withLock { $0.isClosed } }

    public var text: String { self.lines.joined(separator: "\n") }

    /// Waits for a line that matches, and returns the first one. Earlier lines are included.
    @discardableResult
    public func line(
        _ description: String, within time: Duration = Deadline.defaultTimeout,
        where matches: (String) -> Bool
    ) throws -> String {
        var seen = 0
        return try Deadline.wait(
            for:
                "\(description); the last lines:\n\(self.lines.suffix(20).joined(separator: "\n"))",
            within: time
        ) {
            let (lines, isOver) = self.state.withLock { ($0.lines, $0.isClosed) }
            if let line = lines[seen...].first(where: matches) { return line }
            seen = lines.count
            if isOver {
                throw TestFailure(
                    "the output ended without \(description); "
                        + "its last lines:\n\(lines.suffix(20).joined(separator: "\n"))"
                )
            }
            return nil
        }
    }

    /// Waits for the line with this index. `explanation` becomes part of the error if it does not
    /// arrive.
    public func line(at index: Int, within time: Duration, _ explanation: () -> String) throws
        -> String
    {
        guard let line = try self.lineOrEnd(at: index, within: time, explanation) else {
            throw TestFailure("the output ended before line \(index + 1); \(explanation())")
        }
        return line
    }

    /// Waits for the line with this index; nil if the output ends before it.
    public func lineOrEnd(
        at index: Int, within time: Duration = Deadline.defaultTimeout,
        _ explanation: () -> String = { "" }
    ) throws -> String? {
        try Deadline.wait(for: "line \(index + 1) of the output; \(explanation())", within: time) {
            () -> String?? in
            self.state.withLock { state in
                if index < state.lines.count { return .some(state.lines[index]) }
                return state.isClosed ? .some(nil) : nil
            }
        }
    }

    /// The line with this index, as soon as it is there; nil if it does not arrive in time.
    public func nextLine(at index: Int, within time: Duration) -> String? {
        let deadline = Deadline(within: time)
        while true {
            let line = self.state.withLock { $0.lines.count > index ? $0.lines[index] : nil }
            if line != nil || deadline.isExpired { return line }
            usleep(2000)
        }
    }

    /// Waits for a line that contains this text, and returns the first one.
    @discardableResult
    public func line(with text: String, within time: Duration = Deadline.defaultTimeout) throws
        -> String
    {
        try self.line("a line with \"\(text)\"", within: time) { $0.contains(text) }
    }

    /// Waits until the process has closed its output, and returns all of it.
    public func wholeText(within time: Duration = Deadline.defaultTimeout) throws -> String {
        try Deadline.wait(
            for: "the end of the output", within: time, untilTrue: { self.isClosed })
        return self.text
    }

    private func collect(_ descriptor: Int32) {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            self.state.withLock { state in
                if count <= 0 {
                    state.isClosed = true
                    if !state.partialLine.isEmpty {
                        state.lines.append(String(decoding: state.partialLine, as: UTF8.self))
                    }
                } else {
                    state.append(buffer[..<count])
                }
            }
            if count <= 0 { break }
        }
        close(descriptor)
    }
}

extension LineLog.State {
    fileprivate mutating func append(_ bytes: ArraySlice<UInt8>) {
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                self.lines.append(String(decoding: self.partialLine, as: UTF8.self))
                self.partialLine.removeAll(keepingCapacity: true)
            } else {
                self.partialLine.append(byte)
            }
        }
    }
}
