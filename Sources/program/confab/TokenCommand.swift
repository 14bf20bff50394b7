import Bytes
import Configuration
import EventLoop
import Identity

/// `confab token`: prints a signed token.
enum TokenCommand {
    static func run(_ options: TokenOptions) -> Int32 {
        let path =
            switch options.key {
            case .secretFile(let path): path
            case .databaseSecret(let path): StoreLocation.file("secret", nextTo: path)
            }
        do {
            let signer = try TokenSigner(secret: SecretFile(path: path).read())
            Program.write(try signer.sign(self.claims(options)) + "\n")
            return 0
        } catch {
            Program.printError("confab: \(error)")
            return UsageError.exitStatus
        }
    }

    private static func claims(_ options: TokenOptions) -> Claims {
        let grants: Grants =
            switch options.conversations {
            case nil: .none
            case .all: .all
            case .listed(let ids): .listed(Set(ids.map { ByteString($0) }))
            }
        let end = Timestamp(
            milliseconds: WallClock.now.milliseconds + options.lifetime.components.seconds * 1000)
        return Claims(
            subject: options.subject, username: options.username, tenant: options.tenant,
            agent: options.agent, grants: grants,
            isAdmin: options.isAdmin, expiry: end, audience: options.audience.map { [$0] },
            issuer: options.issuer)
    }
}
