import Configuration
import EventLoop
import Glibc
import Identity
import Stores

/// Checks what a start with valid settings may still run into: the database, the secret's folder,
/// the addresses, Redis.
///
/// It performs the steps of a start and leaves nothing behind.
enum StartCheck {
    struct StartObstacle {
        /// A sentence that names the option.
        let message: String
        let status: Int32
    }

    static func problems(_ options: ServeOptions, _ keys: NodeKeys) -> [StartObstacle] {
        self.storeProblems(options) + self.secretProblems(options, keys)
            + self.adminTokenProblems(options, keys) + self.addressProblems(options)
    }

    private static func storeProblems(_ options: ServeOptions) -> [StartObstacle] {
        do {
            try StoreList.all.check(options)
            return []
        } catch let failure as StoreUnavailable {
            // It counts as a part of the cluster that did not answer.
            return [StartObstacle(message: "--store: \(failure)", status: 3)]
        } catch {
            return [StartObstacle(message: "--store: \(error)", status: 1)]
        }
    }

    /// A missing secret is created by the first start, not by the check.
    private static func secretProblems(_ options: ServeOptions, _ keys: NodeKeys) -> [StartObstacle]
    {
        guard !keys.hasConfiguredKeys, let secret = keys.files.secret else { return [] }
        guard access(secret.path, F_OK) == 0 else {
            // Next to a database, its folder was checked with the database.
            guard options.store.path == nil, access(".", W_OK | X_OK) != 0 else { return [] }
            let message =
                """
                \(secret.path): no permission to write in the working folder; set --jwt-secret-file
                """
            return [StartObstacle(message: message, status: 1)]
        }
        do {
            _ = try secret.read()
            return []
        } catch {
            return [StartObstacle(message: "\(error)", status: 2)]
        }
    }

    /// A missing token of the operator is created by the first start, as the secret is.
    private static func adminTokenProblems(_ options: ServeOptions, _ keys: NodeKeys)
        -> [StartObstacle]
    {
        guard let path = keys.createdAdminTokenPath else { return [] }
        guard access(path, F_OK) == 0 else {
            guard options.store.path == nil, access(".", W_OK | X_OK) != 0 else { return [] }
            let message =
                """
                \(path): no permission to create the operators' token in the working folder; set \
                --admin-token-file, or --admin-token off
                """
            return [StartObstacle(message: message, status: 1)]
        }
        do throws(NodeKeys.KeyProblem) {
            _ = try keys.adminTokens()
            return []
        } catch {
            return [StartObstacle(message: error.description, status: 2)]
        }
    }

    private static func addressProblems(_ options: ServeOptions) -> [StartObstacle] {
        let addresses =
            [("--listen", options.listen)] + (options.admin.map { [("--admin", $0)] } ?? [])
        return addresses.compactMap { option, address in
            do throws(SocketError) {
                for socket in try ListeningSocket.bindGroup(
                    host: address.host, port: address.port, count: 1)
                { socket.socket.close() }
                return nil
            } catch {
                return StartObstacle(message: "\(option): \(error)", status: 1)
            }
        }
    }
}
