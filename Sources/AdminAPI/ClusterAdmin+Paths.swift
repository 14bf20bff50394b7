internal import Bytes
internal import ChatModel
internal import Gateway
internal import HTTPWire
internal import JSON

/// The paths under `/api/cluster/`.
extension ClusterAdmin {
    static let prefix = "/api/cluster/"

    /// Throws 404 for an unknown path.
    func work(for request: HTTPRequest, body: [UInt8]) throws(HTTPError) -> AsyncResponse {
        let verb = String(request.path.dropFirst(Self.prefix.count))
        let isChange = ["send", "drain", "resume"].contains(verb)
        guard
            isChange
                || ["status", "nodes", "shards", "owner", "history", "verify", "redis", "events"]
                    .contains(verb)
        else {
            throw .notFound
        }
        if isChange {
            guard request.method == .post else { throw .methodNotAllowed("POST") }
            let document = try Self.json(request, body)
            return { () async throws(HTTPError) in
                Self.response(
                    verb == "send"
                        ? try await self.send(document)
                        : try await self.changeService(verb, document))
            }
        }
        guard request.method == .get || request.method == .head else {
            throw .methodNotAllowed("GET", "HEAD")
        }
        let query = try QueryParameters(request.query)
        switch verb {
        case "status":
            return { () async throws(HTTPError) in Self.response(try await self.status()) }
        case "nodes": return { () async throws(HTTPError) in Self.response(try await self.nodes()) }
        case "redis": return { () async throws(HTTPError) in Self.response(try await self.redis()) }
        case "events":
            let limit = try query.number("last", in: 1...Self.eventLimit) ?? 20
            return { () async throws(HTTPError) in
                Self.response(try await self.events(after: query["after"], limit: limit))
            }
        case "shards":
            return { () async throws(HTTPError) in
                Self.response(try await self.shards(of: query["node"]))
            }
        default: break
        }
        let key = try Self.key(query["conversation"], query["tenant"])
        switch verb {
        case "owner":
            return { () async throws(HTTPError) in Self.response(try await self.owner(of: key)) }
        case "verify":
            return { () async throws(HTTPError) in Self.response(try await self.verify(key)) }
        default:
            let after = try query.number("after", in: 0...Int.max >> 1)
            let limit = try query.number("last", in: 1...Self.messageLimit) ?? 20
            return { () async throws(HTTPError) in
                Self.response(try await self.history(key, after: after, limit: limit))
            }
        }
    }

    private static func json(_ request: HTTPRequest, _ body: [UInt8]) throws(HTTPError) -> JSONTree
    {
        // Also rejects forms of other sites, because a form cannot send this content type.
        guard request.contentType?.lowercased().hasPrefix("application/json") == true else {
            throw .unsupportedMediaType(expected: "application/json")
        }
        guard let tree = try? JSONTree(parsing: body.span.bytes), tree.members != nil else {
            throw .badRequest("The body must be a JSON object.")
        }
        return tree
    }

    private static func response(_ document: JSONTree) -> HTTPResponse {
        var text = ByteBuffer()
        text.append(json: document)
        return HTTPResponse(fields: [HTTPField("Cache-Control", "no-store")], body: text.bytes)
    }
}

extension QueryParameters {
    func number(_ name: String, in range: ClosedRange<Int>) throws(HTTPError) -> Int? {
        guard let text = self[name] else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw .badRequest(
                """
                \"\(name)\" must be a whole number from \(range.lowerBound) to \(range.upperBound).
                """
            )
        }
        return number
    }
}
