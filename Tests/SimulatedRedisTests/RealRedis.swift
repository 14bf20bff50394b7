import Foundation
import SimulatedRedis
import TestKit

/// A connection to a real Redis, to compare its replies.
final class RealRedis {
    private let server: RedisServer
    private let stream: ByteStream

    init() throws {
        self.server = try RedisServer()
        self.stream = try ByteStream(port: self.server.port)
    }

    func execute(_ command: [[UInt8]]) throws -> RESPValue {
        var bytes = Array("*\(command.count)\r\n".utf8)
        for part in command {
            bytes += "$\(part.count)\r\n".utf8
            bytes += part
            bytes += "\r\n".utf8
        }
        try self.stream.send(bytes)
        return try self.reply()
    }

    private func reply() throws -> RESPValue {
        guard let line = try self.stream.line(), let kind = line.first else {
            throw TestFailure("Redis has closed the connection")
        }
        let rest = String(line.dropFirst())
        switch (kind, Int(rest)) {
        case ("+", _): return .status(rest)
        case ("-", _): return .error(rest)
        case (":", let number?): return .integer(Int64(number))
        case ("$", -1): return .null
        case ("*", -1): return .nullArray
        case ("$", let count?):
            let bytes = Array(try self.stream.peek(atLeast: count + 2).prefix(count))
            self.stream.consume(count + 2)
            return .bulk(bytes)
        case ("*", let count?): return .array(try (0..<count).map { _ in try self.reply() })
        default: throw TestFailure("Redis replied \(line)")
        }
    }
}

extension RESPValue {
    /// Without what differs between two servers: times, ids made of times, and the place of an
    /// error in a script.
    var comparable: RESPValue {
        switch self {
        case .bulk(let bytes):
            let text = String(decoding: bytes, as: UTF8.self)
            if let number = Int64(text), number >= 1_000_000_000_000 { return .status("time") }
            let parts = text.split(separator: "-")
            if parts.count == 2, parts[0].count >= 13, parts.allSatisfy({ UInt64($0) != nil }) {
                return .status("id")
            }
            return self
        case .error(let text):
            return .error(text.components(separatedBy: " script: ")[0])
        case .array(let values): return .array(values.map(\.comparable))
        case .status, .integer, .null, .nullArray: return self
        }
    }

    /// For messages of tests.
    var readable: String {
        var bytes: [UInt8] = []
        self.append(to: &bytes)
        return String(decoding: bytes, as: UTF8.self).replacing("\r\n", with: " ")
    }
}
