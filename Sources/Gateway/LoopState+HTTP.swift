import Bytes
import ChatCore
import ChatEngine
import Configuration
import DialectKit
import EngineIO
import EventLoop
import HTTPWire
import Identity
import Synchronization

/// Handles HTTP/1.1 requests, one after the other, until one of them upgrades the connection.
extension LoopState {
    private static let pacedResponseBytes = 16 << 10

    mutating func readRequests(
        _ connection: Connection, _ exchange: HTTPExchange, _ buffer: UnsafeMutableRawBufferPointer,
        _ offset: inout Int
    ) {
        guard exchange.incompleteRequest == nil else {
            return self.readBody(connection, exchange, buffer, &offset)
        }
        guard exchange.engineRequest == nil else { return self.pauseIfUnreadIsLarge(connection) }
        exchange.requestInfo = nil
        do throws(HTTPError) {
            try self.readHead(connection, exchange, buffer, &offset)
        } catch {
            self.setUnreadableRequestInfo(
                connection, exchange, UnsafeRawBufferPointer(rebasing: buffer[offset...]))
            // The method of an unreadable request is unknown, so it does not count as HEAD.
            self.refuse(
                connection, error,
                HTTPResponseContext(answersHead: false, keepsAlive: false, date: self.date))
        }
    }

    private mutating func readHead(
        _ connection: Connection, _ exchange: HTTPExchange, _ buffer: UnsafeMutableRawBufferPointer,
        _ offset: inout Int
    ) throws(HTTPError) {
        let bytes = UnsafeRawBufferPointer(rebasing: buffer[offset...])
        let span = bytes.bytes
        let limits = HTTPLimits(
            headBytes: self.live.limits.headerBytes,
            requestLineBytes: min(8192, self.live.limits.headerBytes))
        guard try exchange.parser.parse(span, into: &self.head, limits: limits) else {
            // The timeout of a later request begins with its first byte. The first request's
            // timeout is already running.
            if exchange.requestCount > 0, !exchange.isReadingHead {
                exchange.isReadingHead = true
                self.setDeadline(connection, after: self.live.limits.header)
            }
            return
        }
        let start = offset
        offset += self.head.byteCount
        exchange.requestCount += 1
        exchange.isReadingHead = false
        self.counters.httpRequests += 1
        let info = self.makeRequestInfo(connection, span)
        exchange.requestInfo = info
        try self.routeRequest(connection, exchange, info, buffer, &offset, from: start, span)
    }

    /// The client of a pending poll has nothing to send. A little input is buffered, so that the
    /// loop notices when the connection closes.
    private mutating func pauseIfUnreadIsLarge(_ connection: Connection) {
        if connection.unread.count > 16 << 10 { self.pauseReading(connection) }
    }

    /// Begins to receive the body of an Engine.IO POST.
    mutating func beginPostBody(
        _ connection: Connection, _ exchange: HTTPExchange, byteLimit: Int,
        _ responseContext: HTTPResponseContext
    ) throws(HTTPError) {
        let decoder = try HTTPBodyDecoder(self.head.body, byteLimit: byteLimit)
        guard !decoder.isComplete else { return self.endPost(connection, exchange, []) }
        if self.head.expectsContinue { self.sendContinue(connection) }
        exchange.incompleteRequest = HTTPExchange.IncompleteRequest(
            decoder: decoder, request: nil, responseContext: responseContext)
        self.setDeadline(connection, after: self.live.limits.body)
    }

    private mutating func sendContinue(_ connection: Connection) {
        self.frameBuffer.removeAll()
        self.frameBuffer.appendHTTPContinue()
        self.send(connection, SharedFrame(self.frameBuffer.bytes))
    }

    mutating func beginBody(
        _ connection: Connection, _ exchange: HTTPExchange, _ request: HTTPRequest,
        _ responseContext: HTTPResponseContext
    ) throws(HTTPError) {
        let decoder = try HTTPBodyDecoder(self.head.body, byteLimit: self.live.limits.bodyBytes)
        if decoder.isComplete {
            self.answerRequest(connection, request, body: [], responseContext)
            return
        }
        if self.head.expectsContinue { self.sendContinue(connection) }
        exchange.incompleteRequest = HTTPExchange.IncompleteRequest(
            decoder: decoder, request: request, responseContext: responseContext)
        self.setDeadline(connection, after: self.live.limits.body)
    }

    private mutating func readBody(
        _ connection: Connection, _ exchange: HTTPExchange, _ buffer: UnsafeMutableRawBufferPointer,
        _ offset: inout Int
    ) {
        guard var pending = exchange.incompleteRequest else { return }
        exchange.incompleteRequest = nil  // Otherwise the body would be copied each time.
        do throws(HTTPError) {
            let bytes = UnsafeRawBufferPointer(rebasing: buffer[offset...])
            offset += try pending.decoder.decode(bytes.bytes, into: &pending.body)
        } catch {
            if exchange.engineRequest != nil, error.status == .contentTooLarge {
                return self.endPostTooLong(connection, exchange)
            }
            self.refuse(
                connection, error,
                HTTPResponseContext(
                    answersHead: pending.responseContext.answersHead, keepsAlive: false,
                    date: self.date))
            return
        }
        guard pending.decoder.isComplete else {
            exchange.incompleteRequest = pending
            return
        }
        if let request = pending.request {
            self.answerRequest(
                connection, request, body: pending.body.bytes, pending.responseContext)
        } else {
            self.endPost(connection, exchange, pending.body.bytes)
        }
    }

    @inline(__always)
    func isClient(_ connection: Connection) -> Bool { connection.listenerRole == .clients }

    mutating func httpRequest(_ connection: Connection, _ span: RawSpan) -> HTTPRequest {
        HTTPRequest(
            method: self.head.method, path: String(span, self.head.path),
            query: self.head.query.map { String(span, $0) },
            host: self.head.authority.map { String(span, $0) },
            origin: self.head.fields.text("origin", in: span),
            authorization: self.head.fields.text("authorization", in: span),
            contentType: self.head.fields.text("content-type", in: span),
            ifNoneMatch: self.head.fields.joined("if-none-match", in: span),
            peer: connection.peer,
            credentials: self.isClient(connection) ? self.credentials : .none,
            allowsAnonymous: self.shared.settings.allowsAnonymous,
            isLoopback: self.shared.settings.isLoopback,
            linkBase: self.isClient(connection) ? self.linkBase(connection, span) : "",
            jsonDepth: self.live.limits.jsonDepth)
    }

    private mutating func answerRequest(
        _ connection: Connection, _ request: HTTPRequest, body: [UInt8],
        _ responseContext: HTTPResponseContext
    ) {
        var responseContext = responseContext
        // A drain may have begun while the body was received.
        if self.isDraining { responseContext.keepsAlive = false }
        do throws(HTTPError) {
            guard case .http(let exchange) = connection.phase,
                let route = exchange.requestInfo?.route
            else { return }
            if route.isRateLimited { try self.checkRate(exchange) }
            guard case .handler(let handler) = route.target else { throw .notFound }
            if route.methods == .getAndHead, request.method != .get, request.method != .head {
                throw .methodNotAllowed("GET", "HEAD")
            }
            if let response = try handler.asyncResponse(for: request, body: body) {
                return try self.beginAsyncResponse(response, connection, responseContext)
            }
            self.respond(connection, try handler.answer(request, body: body), responseContext)
        } catch {
            self.refuse(connection, error, responseContext)
        }
    }

    /// The information about the request that is being answered on this connection.
    private func requestInfo(_ connection: Connection) -> HTTPExchange.RequestInfo? {
        guard case .http(let exchange) = connection.phase else { return nil }
        return exchange.requestInfo
    }

    /// The CORS fields of a response that is not sent with `respond`.
    func crossOriginFields(_ connection: Connection) -> [HTTPField] {
        self.requestInfo(connection)?.crossOrigin?.fields ?? []
    }

    mutating func respond(
        _ connection: Connection, _ response: HTTPResponse, _ responseContext: HTTPResponseContext
    ) {
        self.frameBuffer.removeAll()
        self.frameBuffer.append(
            httpResponse: response.status, responseContext, contentType: response.contentType,
            fields: response.fields + self.crossOriginFields(connection), body: response.body)
        self.sendResponse(connection, responseContext)
    }

    mutating func refuse(
        _ connection: Connection, _ error: HTTPError, _ responseContext: HTTPResponseContext
    ) {
        if self.requestInfo(connection)?.route.errorBody == .api {
            return self.respond(connection, HTTPResponse(apiError: error), responseContext)
        }
        let fields = error.fields + self.crossOriginFields(connection)
        self.frameBuffer.removeAll()
        self.frameBuffer.append(
            httpError: HTTPError(error.status, error.message, fields: fields), responseContext)
        self.sendResponse(connection, responseContext)
    }

    private mutating func sendResponse(
        _ connection: Connection, _ responseContext: HTTPResponseContext
    ) {
        let frame = SharedFrame(self.frameBuffer.bytes)
        // Small responses are written together. A large one may exceed the limit of pending bytes.
        if frame.count < Self.pacedResponseBytes {
            self.send(connection, frame)
        } else {
            self.sendPaced(connection, frame)
        }
        if responseContext.keepsAlive {
            self.setDeadline(connection, after: self.live.limits.idle)
        } else {
            self.beginClose(connection, .lingerWhenSent)
        }
    }
}

extension String {
    /// Decodes a range of bytes as UTF-8, with replacement of invalid bytes.
    init(_ bytes: RawSpan, _ range: Range<Int>) {
        self = bytes.extracting(range).withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }
}
