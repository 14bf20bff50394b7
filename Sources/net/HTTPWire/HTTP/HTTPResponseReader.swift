internal import Bytes

/// The progress of a client that reads a response.
public enum HTTPAnswerProgress<Answer> {
    /// More bytes are needed.
    case incomplete
    /// - Parameter keepsAlive: whether the connection may carry another request.
    case complete(Answer, keepsAlive: Bool)
}

extension HTTPAnswerProgress: Equatable where Answer: Equatable {}
extension HTTPAnswerProgress: Sendable where Answer: Sendable {}

/// Reads the response to one request of a client, from the bytes of a connection.
public protocol HTTPAnswerReader<Answer> {
    associatedtype Answer

    /// The number of bytes that it has received.
    var byteCount: Int { get }

    /// Processes the next bytes. Once it has returned an answer, it receives no more.
    mutating func receive(_ bytes: ArraySlice<UInt8>) -> HTTPAnswerProgress<Answer>

    /// The answer if the connection ends here.
    mutating func end() -> Answer
}

/// A response as a whole, for clients.
public struct HTTPClientResponse: Sendable {
    private let head: HTTPResponseHead
    private let headBytes: [UInt8]
    public fileprivate(set) var body: [UInt8] = []

    init(_ head: HTTPResponseHead, in bytes: [UInt8]) {
        self.head = head
        self.headBytes = bytes
    }

    public var status: Int { self.head.status.rawValue }

    /// Whether the head states where the body ends. Otherwise the end of the connection does, so
    /// that a body that was cut short looks whole.
    public var isDelimited: Bool { self.head.body != .untilClose }

    /// The value of the first field with this name, which must be in lower case.
    public func field(_ name: StaticString) -> String? {
        self.head.fields.text(name, in: self.headBytes.span.bytes)
    }
}

/// The reason why a client has no response.
public enum HTTPAnswerError: Error, Sendable, Equatable {
    /// The connection ended before the first byte.
    case missing
    case tooLong
    /// It is not HTTP, or was cut short.
    case malformed
}

/// Reads a whole response: skips informational ones, and decodes the body.
public struct HTTPResponseReader: HTTPAnswerReader, Sendable {
    public typealias Answer = Result<HTTPClientResponse, HTTPAnswerError>

    public private(set) var byteCount = 0
    private let byteLimit: Int
    private let answersHead: Bool
    private var parser = HTTPResponseParser()
    /// The bytes that are not processed yet.
    private var unread: [UInt8] = []
    private var response: HTTPClientResponse?
    private var keepsAlive = false
    private var decoder: HTTPBodyDecoder?
    private var body = ByteBuffer()

    /// - Parameters:
    ///   - byteLimit: the most bytes of the whole response.
    ///   - answersHead: whether the request was a HEAD, whose response never has a body.
    public init(byteLimit: Int, answersHead: Bool = false) {
        self.byteLimit = byteLimit
        self.answersHead = answersHead
    }

    public mutating func receive(_ bytes: ArraySlice<UInt8>) -> HTTPAnswerProgress<Answer> {
        self.byteCount += bytes.count
        guard self.byteCount <= self.byteLimit else {
            return .complete(.failure(.tooLong), keepsAlive: false)
        }
        self.unread += bytes
        do {
            guard try self.readHead(), try self.readBody() else { return .incomplete }
        } catch {
            return .complete(.failure(.malformed), keepsAlive: false)
        }
        return .complete(self.whole, keepsAlive: self.keepsAlive && self.unread.isEmpty)
    }

    public mutating func end() -> Answer {
        if self.byteCount == 0 { return .failure(.missing) }
        guard let response, !response.isDelimited else { return .failure(.malformed) }
        return self.whole
    }

    private var whole: Answer {
        guard var response else { return .failure(.malformed) }
        response.body = self.body.bytes
        return .success(response)
    }

    private mutating func readHead() throws -> Bool {
        while self.response == nil {
            var head = HTTPResponseHead()
            var parser = self.parser
            let isComplete = try parser.parse(
                self.unread.span.bytes, into: &head, answersHead: self.answersHead)
            self.parser = parser
            guard isComplete else { return false }
            if head.status.rawValue >= 200 || head.status == .switchingProtocols {
                self.response = HTTPClientResponse(
                    head, in: Array(self.unread[..<head.byteCount]))
                self.keepsAlive = head.keepsAlive
                self.decoder = try HTTPBodyDecoder(head.body, byteLimit: self.byteLimit)
            }
            self.unread.removeFirst(head.byteCount)
        }
        return true
    }

    private mutating func readBody() throws -> Bool {
        guard var decoder = self.decoder else { return false }
        let unread = self.unread
        let count = try decoder.decode(unread.span.bytes, into: &self.body)
        self.unread.removeFirst(count)
        self.decoder = decoder
        return decoder.isComplete
    }
}
