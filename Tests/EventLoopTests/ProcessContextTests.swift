import EventLoop
import Foundation
import Testing

@Suite("The process's context")
struct ProcessContextTests {
    @Test("has the variables and the host name that Foundation reports")
    func foundation() {
        #expect(ProcessContext.environment == ProcessInfo.processInfo.environment)
        #expect(ProcessContext.environment["PATH"]?.isEmpty == false)
        #expect(ProcessContext.hostname == ProcessInfo.processInfo.hostName)
    }
}
