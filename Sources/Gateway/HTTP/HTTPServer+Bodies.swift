import Bytes
import Configuration
import EventLoop
import HTTPWire

/// Receives the bodies of requests.
extension HTTPServer {
    mutating func beginBody(
        _ connection: Connection, _ exchange: HTTPExchange, _ request: HTTPRequest,
        _ responseContext: HTTPResponseContext
    ) throws(HTTPError) {
        let decoder = try HTTPBodyDecoder(
            self.head.body, byteLimit: self.context.live.limits.bodyBytes)
        guard !decoder.isComplete else {
            return self.answer(connection, request, body: [], responseContext)
        }
        self.receiveBody(connection, exchange, decoder, of: request, responseContext)
    }

    /// Begins to receive the body of an Engine.IO POST.
    ///
    /// - Returns: whether the body is empty, so that it is complete.
    mutating func beginEngineBody(
        _ connection: Connection, _ exchange: HTTPExchange, byteLimit: Int,
        _ responseContext: HTTPResponseContext
    ) throws(HTTPError) -> Bool {
        let decoder = try HTTPBodyDecoder(self.head.body, byteLimit: byteLimit)
        guard !decoder.isComplete else { return true }
        self.receiveBody(connection, exchange, decoder, of: nil, responseContext)
        return false
    }

    private mutating func receiveBody(
        _ connection: Connection, _ exchange: HTTPExchange, _ decoder: HTTPBodyDecoder,
        of request: HTTPRequest?, _ responseContext: HTTPResponseContext
    ) {
        if self.head.expectsContinue {
            self.responseBuffer.removeAll()
            self.responseBuffer.appendHTTPContinue()
            self.pool.send(connection, SharedFrame(self.responseBuffer.bytes))
        }
        exchange.incompleteRequest = HTTPExchange.IncompleteRequest(
            decoder: decoder, request: request, responseContext: responseContext)
        self.pool.setDeadline(connection, after: self.context.live.limits.body)
    }

    mutating func readBody(
        _ connection: Connection, _ exchange: HTTPExchange,
        _ buffer: UnsafeMutableRawBufferPointer, _ offset: inout Int
    ) -> RequestAction? {
        guard var pending = exchange.incompleteRequest else { return nil }
        exchange.incompleteRequest = nil  // Otherwise the body would be copied each time.
        do throws(HTTPError) {
            let bytes = UnsafeRawBufferPointer(rebasing: buffer[offset...])
            offset += try pending.decoder.decode(bytes.bytes, into: &pending.body)
        } catch {
            if exchange.engineRequest != nil, error.status == .contentTooLarge {
                return .engineBodyTooLong
            }
            self.refuse(
                connection, error,
                HTTPResponseContext(
                    answersHead: pending.responseContext.answersHead, keepsAlive: false,
                    date: self.context.date))
            return nil
        }
        guard pending.decoder.isComplete else {
            exchange.incompleteRequest = pending
            return nil
        }
        guard let request = pending.request else { return .engineBody(pending.body.bytes) }
        self.answer(connection, request, body: pending.body.bytes, pending.responseContext)
        return nil
    }
}
