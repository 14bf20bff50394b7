import Bytes
import ChatsDialect
import DialectKit
import DialectTestSupport
import Identity

/// What must hold of any client's frames: fed by the fuzzer (`script/fuzz chats`) and by the corpus in the ordinary tests. A check that
/// fails stops the process.
enum ChatsProperty {
    /// - Returns: whether something was asked of the chat.
    @discardableResult
    static func check(_ bytes: [UInt8]) -> Bool {
        let identity = Identity(user: "alice", displayName: "Alice", grants: .all)
        let request = DialectRequest(
            path: ["ws", "chats"], query: [], credentials: .bearer(identity),
            now: Timestamp(milliseconds: 0))
        return JSONFrames.check(bytes, ChatsDialect(), request)
    }
}
