extension Journal {
    /// Reads everything of a conversation through a node.
    func recordEnd(
        of conversation: String, through node: String, in processes: ClusterProcesses
    ) throws {
        let history = try processes.history(of: conversation, through: node)
        let found = try processes.search("says", in: conversation, through: node)
        let features = history.compactMap { message in
            Int(message.id).map { ($0, message.features) }
        }
        self.check {
            $0.recordHistory(
                history.compactMap(\.receivedMessage), of: conversation, through: node)
            $0.recordFinalFeatures(
                Dictionary(features) { $1 }, of: conversation, through: node)
            $0.recordFinalSearch(found, of: conversation, through: node)
        }
    }
}
