import Testing

@testable import ClusterTorture

@Suite("The observer of a kit")
struct KitObserverTests {
    /// A kit that has loaded messages 5 and 6.
    private static let loaded = [
        #"{"event": "message", "id": "5", "author": "ann", "text": "five"}"#,
        #"{"event": "message", "id": "6", "author": "ann", "text": "six"}"#,
    ]

    @Test(
        "accepts events of loaded messages, and pins of older ones",
        arguments: [
            (#"{"event": "pinned", "id": "5"}"#, true),
            (#"{"event": "reactions", "id": "5", "reactions": {}}"#, true),
            (#"{"event": "pinned", "id": "4"}"#, true),
            (#"{"event": "unpinned", "id": "4"}"#, true),
            (#"{"event": "pinned", "id": "7"}"#, false),
            (#"{"event": "reactions", "id": "4", "reactions": {}}"#, false),
            (#"{"event": "pinned"}"#, false),
        ])
    func features(line: String, isAccepted: Bool) throws {
        var observer = KitObserver("bob", in: "c")
        var checker = HistoryChecker()
        checker.recordResume("bob", in: "c", after: 4, through: "its kit")
        for line in Self.loaded { _ = observer.receive(try KitEvent(line), &checker) }
        let before = checker.violationCount
        _ = observer.receive(try KitEvent(line), &checker)
        #expect((checker.violationCount == before) == isAccepted, "\(checker.violations)")
    }
}
