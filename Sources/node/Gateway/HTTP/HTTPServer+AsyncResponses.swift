import EventLoop
import HTTPWire

/// Sends responses that are computed outside the loop.
extension HTTPServer {
    /// The timeout and the limits of asynchronous responses. Clients have a lower limit, so that
    /// operators can still find out why there are so many clients.
    private static let asyncResponseTimeout = Duration.seconds(30)
    private static let asyncResponseLimit = 256
    private static let clientAsyncResponseLimit = 192

    /// Pauses reading from the connection until the response has been sent.
    mutating func beginAsyncResponse(
        _ work: @escaping AsyncResponse, _ connection: Connection, _ exchange: HTTPExchange,
        _ responseContext: HTTPResponseContext
    ) throws(HTTPError) {
        if connection.isClient, self.asyncResponseCount >= Self.clientAsyncResponseLimit {
            throw HTTPError(
                .serviceUnavailable, "Too many requests are under way; come again.",
                fields: [HTTPField("Retry-After", "1")])
        }
        guard self.asyncResponseCount < Self.asyncResponseLimit else { throw .serviceUnavailable }
        self.asyncResponseCount += 1
        exchange.state = .awaitingResponse
        self.pool.pauseReading(connection)
        self.pool.setDeadline(connection, after: Self.asyncResponseTimeout)
        let token = connection.token
        let mailbox = self.context.shared.controlMailboxes[self.context.index]
        // A client's request is small and runs on this loop. An operator's may read a whole
        // history, so it runs elsewhere.
        let task = Task(executorPreference: connection.isClient ? self.context.loop : nil) {
            let result: Result<HTTPResponse, HTTPError>
            do throws(HTTPError) {
                result = .success(try await work())
            } catch {
                result = .failure(error)
            }
            _ = mailbox.post(.respond(token, result, responseContext))
        }
        if connection.isClient { self.asyncResponses[token] = task }
    }

    /// Cancels the task of a response, because the client is gone.
    func cancelResponse(to token: SocketToken) { self.asyncResponses[token]?.cancel() }

    mutating func finishAsyncResponse(
        to token: SocketToken, _ result: Result<HTTPResponse, HTTPError>,
        _ responseContext: HTTPResponseContext
    ) {
        self.asyncResponseCount -= 1
        self.asyncResponses[token] = nil
        guard let connection = self.pool[token], connection.closeState == .open,
            case .http(let exchange) = connection.phase
        else { return }
        exchange.state = .readingHead
        var responseContext = responseContext
        // A drain may have begun in the meantime.
        if self.context.isDraining { responseContext.keepsAlive = false }
        do throws(HTTPError) {
            self.respond(connection, try result.get(), responseContext)
        } catch {
            self.refuse(connection, error, responseContext)
        }
        self.resumeReadingIfAnswered(connection, exchange)
    }
}
