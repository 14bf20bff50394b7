import AgentsDialect
import Bytes
import DialectKit
import DialectTestSupport
import Identity

/// Properties that hold for any frames of a client. The fuzzer (`script/fuzz agents`) and the
/// corpus tests check them. A failed check stops the process.
enum AgentsProperty {
    /// - Returns: whether a frame caused a request to the chat.
    @discardableResult
    static func check(_ bytes: [UInt8]) -> Bool {
        let identity = Identity(user: "alice", displayName: "Alice", grants: .all)
        let request = DialectRequest(
            path: ["v1", "ws"], query: [("channel_id", "lobby")], credentials: .bearer(identity),
            now: Timestamp(milliseconds: 0))
        return JSONFrames.check(bytes, AgentsDialect(), request)
    }
}
