import Bytes
import DialectKit
import DialectTestSupport
import Identity
import PetsDialect

/// What must hold of any client's frames: fed by the fuzzer (`script/fuzz pets`) and by the corpus in the ordinary tests. A check that
/// fails stops the process.
enum PetsProperty {
    /// - Returns: whether something was asked of the chat.
    @discardableResult
    static func check(_ bytes: [UInt8]) -> Bool {
        let identity = Identity(user: "alice", displayName: "Alice", grants: .all)
        let request = DialectRequest(
            path: ["ws"], query: [], credentials: .bearer(identity), now: Timestamp(milliseconds: 0)
        )
        return JSONFrames.check(bytes, PetsDialect(), request)
    }
}
