public import AdminAPI
import ChatModel
public import Configuration
import EmbeddedStore
public import Telemetry

extension LocalEventLog {
    /// The event log of a node without a cluster: in a file next to that of its store, or in memory
    /// if the store has no file.
    public static func open(for store: StoreLocation, logger: Logger) -> LocalEventLog {
        guard store.path != nil else { return LocalEventLog() }
        do throws(StoreFailure) {
            let file = try EventFile(path: store.file("events"))
            return LocalEventLog(try file.entries().map { ($0.id, $0.text) }) { id, text in
                do throws(StoreFailure) {
                    try file.append(.init(id: id, text: text))
                } catch {
                    logger.warning("event not stored", ["reason": .text(error.description)])
                }
            }
        } catch {
            // The node serves clients without a stored event log.
            logger.warning(
                "event log kept in memory only", ["reason": .text(error.description)])
            return LocalEventLog()
        }
    }
}
