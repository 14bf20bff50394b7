internal import Bytes

/// A pattern for the paths of requests, for example `/conversations/{id}`.
///
/// A segment in braces stands for any segment. `/**` at the end stands for the path before it and
/// every path below. A trailing slash of the request's path is ignored.
public struct PathPattern: Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
    private enum Segment {
        case literal([UInt8])
        case any
        /// Any number of segments, also none.
        case rest
    }

    private let segments: [Segment]
    /// The pattern as it was written.
    public let description: String

    public init(stringLiteral text: String) {
        self.description = text
        self.segments = Self.split(text).map {
            if $0 == "**" { return .rest }
            return $0.hasPrefix("{") && $0.hasSuffix("}") ? .any : .literal(Array($0.utf8))
        }
    }

    /// A pattern for exactly this path: braces and asterisks have no meaning.
    public init(literal path: String) {
        self.description = path
        self.segments = Self.split(path).map { .literal(Array($0.utf8)) }
    }

    private static func split(_ text: String) -> [Substring] {
        precondition(text.first == "/", "a path pattern must begin with a slash: \(text)")
        return text.dropFirst().split(separator: "/")
    }

    /// - Parameters:
    ///   - path: the path as the client sent it, percent-encoded.
    ///   - isDecoded: whether segments are compared after percent-decoding. Then a path that cannot
    ///     be decoded does not match.
    public func matches(_ path: RawSpan, isDecoded: Bool) -> Bool {
        path.withUnsafeBytes { self.matches($0, isDecoded: isDecoded) }
    }

    private func matches(_ path: UnsafeRawBufferPointer, isDecoded: Bool) -> Bool {
        let slash = UInt8(ascii: "/")
        guard path.first == slash else { return false }
        var start = 1
        for segment in self.segments {
            if case .rest = segment { return true }
            // An empty segment at the end is only a trailing slash.
            guard start < path.count else { return false }
            let end = path[start...].firstIndex(of: slash) ?? path.count
            let text = UnsafeRawBufferPointer(rebasing: path[start..<end])
            guard Self.matches(text, segment, isDecoded: isDecoded) else { return false }
            start = end + 1
        }
        return start >= path.count
    }

    private static func matches(
        _ text: UnsafeRawBufferPointer, _ segment: Segment, isDecoded: Bool
    ) -> Bool {
        switch segment {
        case .rest: return true
        case .any: return !isDecoded || PercentEncoding.decode(text) != nil
        case .literal(let bytes):
            if text.elementsEqual(bytes) { return true }
            guard isDecoded, text.contains(UInt8(ascii: "%")) else { return false }
            return PercentEncoding.decode(text)?.utf8.elementsEqual(bytes) ?? false
        }
    }
}
