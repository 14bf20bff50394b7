import ConfabClient
import Foundation

let environment = ProcessInfo.processInfo.environment
let url = environment["CONFAB_URL"] ?? "http://127.0.0.1:8080"
let confab = try Confab(url, token: environment["CONFAB_TOKEN"])
let room = confab.conversation("lobby")
for await event in room.events {
    guard case .message(let message) = event, !message.isOwn else { continue }
    try await room.send("You said: \(message.text)")
}
