internal import Gateway
internal import HTTPWire
internal import NodeLink

/// Questions of other nodes at the admin listener, for times in which Redis carries no messages.
extension ClusterAdmin {
    static let directPath = "/api/node"

    /// Answers a sealed question with a sealed answer. The cluster key authenticates it, so it
    /// needs no token; it may only read, because a recorded one can be replayed.
    ///
    /// - Throws: 405, 403 for a question that is not from a node of the view, 503 while the node is
    ///   not part of a cluster.
    func directAnswer(to request: HTTPRequest, _ body: [UInt8]) throws(HTTPError) -> AsyncResponse {
        guard request.method == .post else { throw .methodNotAllowed("POST") }
        guard let link = self.link else {
            throw HTTPError(.serviceUnavailable, "This node is not part of a cluster.")
        }
        return { () async throws(HTTPError) in
            do throws(NodeLink.DirectRefusal) {
                let sealed = try await link.answerDirectly(body, topics: Self.directTopics) {
                    await self.answer($0)
                }
                return HTTPResponse(
                    contentType: "application/octet-stream",
                    fields: [HTTPField("Cache-Control", "no-store")], body: sealed)
            } catch {
                throw HTTPError(.forbidden, error.description)
            }
        }
    }
}
