import Bytes
import Testing
import Webhooks

@Suite("The signature of a webhook")
struct WebhookSignatureTests {
    /// The example of the Standard Webhooks libraries.
    @Test("is that of the published example")
    func example() throws {
        let signature = try WebhookSignature(
            secrets: Array("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n".utf8))
        let value = signature.value(
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek", seconds: 1_614_265_330,
            body: Array(#"{"test": 2432232314}"#.utf8))
        #expect(value == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
    }

    @Test("exists once for each secret")
    func twoSecrets() throws {
        let secrets = [[UInt8](repeating: 1, count: 24), [UInt8](repeating: 2, count: 64)]
        let text = secrets.map { WebhookSignature.secretText(of: $0) }
        let both = try WebhookSignature(secrets: Array(text.joined().utf8))
        let alone = try text.map { try WebhookSignature(secrets: Array($0.utf8)) }
        let value = both.value(id: "a", seconds: 1, body: [])
        #expect(
            value == alone.map { $0.value(id: "a", seconds: 1, body: []) }.joined(separator: " "))
    }

    @Test(
        "needs a secret of the standard's form",
        arguments: ["", "secret", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
    func invalidSecret(_ text: String) {
        #expect(throws: WebhookSecretProblem.self) {
            try WebhookSignature(secrets: Array(text.utf8))
        }
    }
}
