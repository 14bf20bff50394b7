import Foundation

/// An event of a kit's driver.
struct KitEvent: Decodable {
    struct KitMessage: Decodable {
        /// Null for messages that are not stored.
        let id: String?
        let author: String?
        let text: String?
        let localID: String?
        let state: String?
        let rev: Int?

        private enum CodingKeys: String, CodingKey {
            case localID = "local_id"
            case id, author, text, state, rev
        }
    }

    let event: String
    let id: String?
    let author: String?
    let text: String?
    let localID: String?
    let rev: Int?
    let messages: [KitMessage]?
    let state: String?
    let reason: String?
    let error: String?
    let action: String?

    private enum CodingKeys: String, CodingKey {
        case localID = "local_id"
        case action = "do"
        case event, id, author, text, rev, messages, state, reason, error
    }

    init(_ line: String) throws {
        self = try JSONDecoder().decode(KitEvent.self, from: Data(line.utf8))
    }
}
