import DialectKit
import EngineIO
import HTTPWire

/// The dialect that uses Engine.IO, if the node has one.
struct EngineEndpoint: Sendable {
    /// The index in the gateway's dialects.
    let dialect: Int
    let settings: EngineSettings
    let path: StaticString
    private let base: any EngineDialect

    init?(_ settings: GatewaySettings) {
        for (index, dialect) in settings.dialects.enumerated() {
            guard let engine = dialect as? any EngineDialect else { continue }
            self.dialect = index
            self.settings = engine.engineSettings
            self.path = engine.enginePath
            self.base = engine
            return
        }
        return nil
    }

    /// Whether the frame must be in the same response as the one before it.
    func isCompanion(_ frame: WrittenFrame, in bytes: UnsafeRawBufferPointer) -> Bool {
        frame.opcode == .text
            && self.base.isCompanion(UnsafeRawBufferPointer(rebasing: bytes[frame.payload]).bytes)
    }
}
