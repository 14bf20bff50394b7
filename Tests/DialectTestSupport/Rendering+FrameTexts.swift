import Bytes
public import DialectKit

extension Rendering {
    /// The text of every frame, after its audience.
    public var frameTexts: [String] {
        self.frames.indices.map { index in
            let text = self.text.bytes[self.textRange(ofFrame: index)]
            return "\(self.frames[index].audience) \(String(decoding: text, as: UTF8.self))"
        }
    }
}
