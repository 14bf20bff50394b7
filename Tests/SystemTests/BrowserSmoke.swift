import TestKit
import Testing

@Suite struct BrowserSmoke {
    @Test func opens() throws {
        let web = try WebFolder()
        try web.folder.write("<title>hi</title>", to: "index.html")
        let browser = try Browser()
        let tab = try browser.open(web.origin + "/")
        #expect(try tab.run("return document.title") == "hi")
    }
}
