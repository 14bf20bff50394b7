import Synchronization

/// Collects values from any thread.
public final class ConcurrentRecorder<Element: Sendable>: Sendable {
    private let elements = Mutex<[Element]>([])

    public init() {}

    public func add(_ note: Element) {
        self.elements.withLock { $0.append(note) }
    }

    public var all: [Element] { self.elements.withLock { $0 } }
}
