import Bytes
import ChatModel
import Configuration
import EventLoop
import HTTPWire

/// Receives the bodies of requests.
extension HTTPServer {
    mutating func beginBody(
        _ connection: Connection, _ exchange: HTTPExchange, _ request: HTTPRequest,
        _ responseContext: HTTPResponseContext
    ) throws(HTTPError) {
        let byteLimit = self.context.live.limits.bodyBytes
        guard let body = try self.beginBody(connection, byteLimit: byteLimit) else {
            return self.answer(connection, request, body: [], responseContext)
        }
        exchange.state = .receivingBody(body, of: request, responseContext)
    }

    /// Begins to receive the body of an Engine.IO POST.
    ///
    /// - Returns: whether the body is empty, so that it is complete.
    mutating func beginEngineBody(
        _ connection: Connection, _ pending: PendingEngineRequest, byteLimit: Int
    ) throws(HTTPError) -> Bool {
        pending.body = try self.beginBody(connection, byteLimit: byteLimit)
        return pending.body == nil
    }

    /// - Returns: nil if the body is empty.
    private mutating func beginBody(
        _ connection: Connection, byteLimit: Int
    ) throws(HTTPError) -> HTTPExchange.IncompleteBody? {
        let decoder = try HTTPBodyDecoder(self.head.body, byteLimit: byteLimit)
        guard !decoder.isComplete else { return nil }
        if self.head.expectsContinue {
            self.responseBuffer.removeAll()
            self.responseBuffer.appendHTTPContinue()
            self.pool.send(connection, SharedFrame(self.responseBuffer.bytes))
        }
        self.pool.setDeadline(connection, after: self.context.live.limits.body)
        return HTTPExchange.IncompleteBody(decoder)
    }

    mutating func readBody(
        _ connection: Connection, _ exchange: HTTPExchange,
        _ buffer: UnsafeMutableRawBufferPointer, _ offset: inout Int
    ) {
        guard case .receivingBody(var body, let request, let responseContext) = exchange.state
        else { return }
        exchange.state = .readingHead  // Otherwise the body would be copied each time.
        do throws(HTTPError) {
            guard try body.receive(buffer, from: &offset) else {
                if !body.isAdmitted { try self.admitBody(exchange, request) }
                body.isAdmitted = true
                exchange.state = .receivingBody(body, of: request, responseContext)
                return
            }
            exchange.bodyBytes = body.wireByteCount
        } catch {
            return self.refuseBody(connection, error, responseContext)
        }
        self.answer(connection, request, body: body.bytes.bytes, responseContext)
    }

    /// Checks the credentials and the rate of a request whose body arrives in parts, before the
    /// node keeps more of it.
    private func admitBody(_ exchange: HTTPExchange, _ request: HTTPRequest) throws(HTTPError) {
        guard let route = exchange.requestInfo?.route else { return }
        if case .handler(let handler) = route.target { try handler.checkBeforeBody(request) }
        if route.isRateLimited {
            // The connection closes after a refusal in any case.
            var responseContext = self.context.closingContext
            try self.checkRate(request, exchange, &responseContext)
        }
    }

    mutating func readEngineBody(
        _ connection: Connection, _ exchange: HTTPExchange, _ pending: PendingEngineRequest,
        _ buffer: UnsafeMutableRawBufferPointer, _ offset: inout Int
    ) -> RequestAction? {
        guard var body = pending.body else { return nil }
        pending.body = nil  // As above.
        do throws(HTTPError) {
            guard try body.receive(buffer, from: &offset) else {
                pending.body = body
                return nil
            }
            exchange.bodyBytes = body.wireByteCount
        } catch {
            if error.status == .contentTooLarge { return .engineBodyTooLong }
            self.refuseBody(connection, error, pending.responseContext)
            return nil
        }
        return .engineBody(body.bytes.bytes)
    }

    private mutating func refuseBody(
        _ connection: Connection, _ error: HTTPError, _ responseContext: HTTPResponseContext
    ) {
        self.refuse(
            connection, error,
            HTTPResponseContext(
                answersHead: responseContext.answersHead, keepsAlive: false,
                date: self.context.date))
    }
}
