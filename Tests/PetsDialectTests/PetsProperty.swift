import Bytes
import DialectKit
import DialectTestSupport
import Identity
import PetsDialect

/// Properties that hold for any frames of a client. The fuzzer (`script/fuzz pets`) and the corpus
/// tests check them. A failed check stops the process.
enum PetsProperty {
    /// - Returns: whether a frame caused a request to the chat.
    @discardableResult
    static func check(_ bytes: [UInt8]) -> Bool {
        let identity = Identity(user: "alice", displayName: "Alice", grants: .all)
        let request = DialectRequest(
            path: ["ws"], query: [], credentials: .bearer(identity), now: Timestamp(milliseconds: 0)
        )
        return JSONFrames.check(bytes, PetsDialect(), request)
    }
}
