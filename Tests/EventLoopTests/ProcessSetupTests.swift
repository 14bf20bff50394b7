import EventLoop
import Testing

@Suite("Process setup")
struct ProcessSetupTests {
    @Test("raises the descriptor limit to the allowed maximum")
    func descriptorLimit() {
        #expect(ProcessSetup.raiseDescriptorLimit() == ProcessSetup.raiseDescriptorLimit())
        #expect(ProcessSetup.raiseDescriptorLimit() >= 256)
    }
}
