import Bytes
import ChatModel
import ConversationsDialect
import DialectKit
import Identity
import JSON

/// Properties that hold for any frame of a client. The fuzzer (`script/fuzz conversations`) and the
/// corpus tests check them. A failed check stops the process.
enum ConversationsProperty {
    private static let limits = Limits()

    /// - Returns: whether the frame requests something and is not answered with an error.
    @discardableResult
    static func check(_ bytes: [UInt8]) -> Bool {
        let identity = Identity(user: "alice", grants: .all)
        let request = DialectRequest(
            path: ["conversations", "lobby"], query: [], credentials: .bearer(identity),
            now: Timestamp(milliseconds: 0))
        guard case .session(var session)? = ConversationsDialect().open(request) else {
            preconditionFailure("no session was opened")
        }
        var document = JSONDocument()
        var steps = SessionSteps(limits: self.limits)
        bytes.withUnsafeBytes {
            session.received(
                $0.bytes, reading: &document, at: Timestamp(milliseconds: 0), into: &steps)
        }
        var asks = false
        for step in steps.list {
            switch step {
            case .reply(let range):
                self.checkReply(Array(steps.text.bytes[range]))
            case .submit(.post(let body), let key, _):
                asks = true
                precondition(key.id == "lobby", "a message for another conversation")
                precondition(
                    (try? self.limits.check(content: body.content)) != nil,
                    "a message beyond the limits")
                precondition(
                    body.author.id == UserID(tokenSubject: "alice"), "a message by another author")
            case .submit, .authenticate:
                asks = true
            case .fetch(.search(_, _, _, let limit, _), _):
                asks = true
                precondition((1...100).contains(limit), "\(limit) found messages")
            case .readPage(_, _, let limit, _), .readThread(_, _, _, let limit, _):
                asks = true
                precondition((1...100).contains(limit), "a page of \(limit) messages")
            case .enter, .unsubscribe, .fetch, .readFurther, .broadcast, .close:
                preconditionFailure("a frame made the session enter or leave, or ask for lists")
            }
        }
        precondition(
            !steps.list.isEmpty || self.isHeartbeat(bytes), "a frame was ignored")
        return asks
    }

    private static func checkReply(_ text: [UInt8]) {
        guard let reply = text.withUnsafeBytes({ try? JSONTree(parsing: $0.bytes) }) else {
            preconditionFailure("a reply that is no JSON")
        }
        let type = reply["type"]?.stringValue
        precondition(
            type == "error" || type == "message.failed", "a reply of type \(type ?? "none")")
        precondition(reply["error"]?.stringValue?.isEmpty == false, "an error without a text")
    }

    private static func isHeartbeat(_ bytes: [UInt8]) -> Bool {
        guard let frame = bytes.withUnsafeBytes({ try? JSONTree(parsing: $0.bytes) }) else {
            return false
        }
        return ["heartbeat", "heartbeat_ack"].contains(frame["action"]?.stringValue)
    }
}
