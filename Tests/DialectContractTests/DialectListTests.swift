import ConfabClient
import Configuration
import DialectKit
import Dialects
import LoadGenerator
import Testing

@Suite("The list of dialects")
struct DialectListTests {
    private static let settings = DialectSettings(
        secret: Array("secret".utf8), clusterName: "test")

    @Test("has one name per dialect for the server and the client")
    func names() {
        let servers = DialectList.all.map { $0.server(Self.settings).name.description }
        #expect(servers == DialectList.all.names)
        #expect(Set(servers).count == servers.count)
    }

    @Test("has adapters with unique names, one at least for each dialect")
    func adapters() {
        let names = DialectList.all.loadAdapters.map(\.name)
        #expect(Set(names).count == names.count)
        #expect(Set(DialectList.all.choices.adapterNames) == Set(names))
        #expect(!DialectList.all.contains { $0.load.isEmpty })
    }

    @Test("has dialects with their heartbeats, numbers and transports")
    func capabilities() {
        let dialects = DialectList.all.map { $0.server(Self.settings) }
        func names(_ isIncluded: (any Dialect) -> Bool) -> [String] {
            dialects.filter(isIncluded).map { $0.name.description }
        }
        #expect(names { $0.heartbeat != nil } == ["conversations"])
        #expect(names(\.usesUserNumbers) == ["chats"])
        #expect(names { $0 is any EngineDialect } == ["rooms"])
        #expect(names { $0.upgradePaths.isEmpty } == ["rooms"])
    }

    @Test("contains every dialect that the contract tests, except the example")
    func contract() {
        #expect(
            Set(DialectUnderTest.all.map(\.testDescription))
                == Set(DialectList.all.names + ["example"]))
    }
}
