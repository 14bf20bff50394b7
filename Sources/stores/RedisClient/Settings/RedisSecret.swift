/// A password that does not appear when it or its container is printed.
public struct RedisSecret: Sendable, Hashable, CustomStringConvertible,
    CustomDebugStringConvertible, CustomReflectable
{
    package let text: String

    public init(_ text: String) {
        self.text = text
    }

    public var description: String { "(secret)" }
    public var debugDescription: String { self.description }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
