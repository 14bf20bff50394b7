import JSON
import Testing

@testable import OperatorClient

@Suite("The output of a command")
struct ScreenTests {
    @Test(
        "ends with status 3 if some nodes have not answered",
        arguments: [
            (["nodes_asked": 3, "nodes_answered": 3], 0),
            (["nodes_asked": 3, "nodes_answered": 2], 3),
            (["nodes_asked": 3, "nodes_answered": 0], 3),
            // One node answers for itself, or Redis for all.
            ([:], 0), (["nodes_asked": 3], 0),
        ] as [(JSONTree, Int32)])
    func missingNodes(document: JSONTree, status: Int32) {
        let screen = Screen(environment: [:], isTable: false)
        #expect(screen.showMissingNodes(of: document) == status)
    }

    @Test(
        "has no colours if the environment says so, or without a terminal",
        arguments: [["NO_COLOR": "1"], ["TERM": "dumb"], ["NO_COLOR": "1", "TERM": "xterm"]])
    func colours(environment: [String: String]) {
        #expect(!Screen(environment: environment, isTable: true).isColoured)
    }
}
