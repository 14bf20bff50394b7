import Foundation
import TestKit
import TestTraits
import Testing

/// The guides' commands as printed, with only the address replaced.
@Suite("The guide", .programs, .ownThread)
struct GuideTests {
    @Test("for backends sends a message, also for a user, and makes a link that opens a page")
    func backend() throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createSymbolicLink(
            atPath: folder.file("confab"), withDestinationPath: Checkout.confab)
        let server = try ChildProcess(
            Checkout.confab, ["serve", "--listen", "127.0.0.1:0", "--admin", "off"],
            folder: folder.path)
        defer { server.kill() }
        let ready = try server.errors.line(with: "confab ready")
        let address = "127.0.0.1:\(ready.firstMatch(of: /127\.0\.0\.1:([0-9]+)/)?.1 ?? "")"

        let page = try MarkdownPage("docs/guides/backend.md")
        let blocks = page.blocks.filter { $0.language == "sh" }.map(\.text)
        try #require(blocks.count == 5)
        let script = blocks.joined(separator: "\necho\n")
            .replacing("127.0.0.1:8080", with: address)
        let result = try run(
            "/bin/sh", ["-e", "-c", script], environment: ["PATH": "\(folder.path):/usr/bin:/bin"],
            folder: folder.path)
        #expect(result.exitStatus == .exited(0), "\(result.errors)")
        for part in [
            #""success":true,"user_id":"ann","username":"Ann""#,
            #""user_id":"shop","username":"The Shop","content":"Your parcel has left.""#,
            #""local_id":"order-1042-sent""#,
            #""user_id":"ann","username":"Ann","content":"Thank you!""#,
        ] {
            #expect(result.output.contains(part), "\(part) in \(result.output)")
        }

        let link = try #require(result.output.split(separator: "\n").last.map(String.init))
        let chromium = try Browser().open(link)
        let text = try chromium.runFunctionBody(
            """
            while (!document.body.innerText.includes("Thank you!")) {
              await new Promise((wake) => setTimeout(wake, 20));
            }
            return document.body.innerText + "|" + location.href;
            """)
        #expect(text.contains("Your parcel has left."))
        #expect(text.contains("The Shop"))
        #expect(!text.contains("token="), "the page removes the token from the address")
    }
}
