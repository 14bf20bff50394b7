public import JSON

/// A request from one node to another for operators, as `ControlMessage` carries it.
///
/// It follows the rules of `NodePacket`: a new request has a new topic, a new argument is a new
/// member of the body, and a reader skips members that it does not know. The reply is a JSON
/// document that nodes of other versions may extend in the same way.
public struct NodeRequest: Sendable, Equatable {
    /// The name on the wire.
    public let topic: String
    public let arguments: JSONTree

    public init(_ topic: String, _ arguments: [JSONTree.ObjectMember] = []) {
        self.topic = topic
        self.arguments = .object(arguments)
    }

    /// The arguments on the wire: a JSON object.
    public var body: String { self.arguments.text }

    /// Nil for a body that is not a JSON object.
    public init?(topic: String, body: String) {
        guard let body = try? JSONTree(parsing: body), body.members != nil else { return nil }
        self.topic = topic
        self.arguments = body
    }
}
