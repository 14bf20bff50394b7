extension CommandTable {
    static let operatorCommands = OperatorOptions.Verb.allCases.map(operatorCommand)

    static func operatorCommand(_ verb: OperatorOptions.Verb) -> CommandSpec {
        let help = self.commandHelp(of: verb)
        return CommandSpec(
            verb.rawValue, help.summary, arguments: help.arguments,
            options: OperatorTable.bindings(of: verb).map(\.spec) + [helpOption],
            examples: help.examples, notes: help.notes)
    }

    private struct CommandHelp {
        let summary: String
        var arguments: [CommandSpec.Argument] = []
        let examples: [CommandSpec.Example]
        var notes: [String] = []
    }

    private static let conversation = CommandSpec.Argument(
        "CONVERSATION", "the id of the conversation")
    private static let missingNodesNote = """
        A node that does not answer within two seconds has a row without numbers, and the exit \
        status is 3. The columns are the keys of the rows in the JSON document, in upper case.
        """

    private static let redisSourceNote = """
        With --via no node is queried: the data is read from Redis, and nothing is written. Data \
        that only nodes have is missing. A node counts as gone after three seconds without a \
        heartbeat.
        """

    private static func commandHelp(of verb: OperatorOptions.Verb) -> CommandHelp {
        switch verb {
        case .status:
            CommandHelp(
                summary: "summarise the cluster and its problems",
                examples: [.init("confab status", "the cluster's state and problems")],
                notes: [self.missingNodesNote])
        case .nodes:
            CommandHelp(
                summary: "list the nodes with their load and state",
                examples: [
                    .init("confab nodes --sort -connections", "the busiest node first"),
                    .init(
                        "confab nodes --output json --admin http://10.0.0.7:8090",
                        "for a program, through another node"),
                    .init(
                        "confab nodes --via redis://10.0.0.9:6379 --watch",
                        "from Redis, while no node answers"),
                ], notes: [self.missingNodesNote, self.redisSourceNote])
        case .shards:
            CommandHelp(
                summary: "list the 4,096 shards with their owners",
                examples: [
                    .init(
                        "confab shards --node n1 --sort -conversations --limit 10",
                        "the fullest shards of a node")
                ],
                notes: [
                    """
                    A shard has an epoch after it was claimed, at the first use of one of its \
                    conversations; SINCE is the time of the claim. If its owner was suspended, the \
                    shard has no epoch until its next use. CONVERSATIONS counts those in memory, \
                    and MSG/S the messages of the last second.
                    """
                ])
        case .owner:
            CommandHelp(
                summary: "show the owner of a conversation", arguments: [self.conversation],
                examples: [.init("confab owner lobby", "its shard, owner and epoch")])
        case .history:
            CommandHelp(
                summary: "print messages of a conversation", arguments: [self.conversation],
                examples: [
                    .init("confab history lobby --last 50", "the newest 50 messages"),
                    .init("confab history lobby --after 120 --output json", "a page for a program"),
                ])
        case .tail:
            CommandHelp(
                summary: "print new messages of a conversation", arguments: [self.conversation],
                examples: [.init("confab tail lobby", "until Ctrl-C")],
                notes: [
                    """
                    With --output json every message is an object on a line of its own. Without \
                    --after the output starts with the next message.
                    """
                ])
        case .send:
            CommandHelp(
                summary: "send a message to a conversation",
                arguments: [self.conversation, .init("TEXT", "the message's text")],
                examples: [
                    .init(
                        "confab send lobby Hello --as ops --yes",
                        "as the user ops, without confirmation")
                ],
                notes: [
                    "The message is numbered and stored when the command returns."
                ])
        case .verify:
            CommandHelp(
                summary: "check a conversation's stream for gaps",
                arguments: [self.conversation],
                examples: [.init("confab verify lobby", "exit status 0: no faults")],
                notes: [
                    """
                    Reads everything retained, and checks that no number is missing or duplicated, \
                    that numbers and revisions increase, and that the end matches the owner. Exit \
                    status 1 means a fault.
                    """
                ])
        case .redis:
            CommandHelp(
                summary: "show the state of Redis for each node",
                examples: [
                    .init("confab redis", "round trips, memory, last deliveries")
                ],
                notes: [
                    """
                    ROUND TRIP is the time of one INFO. STREAM BYTES is the size of all messages, \
                    estimated if there are many keys. LAST DELIVERY is the time since the node \
                    last received its own probe through Redis. REBUILDS counts resubscriptions \
                    after missing probes.
                    """
                ])
        case .events:
            CommandHelp(
                summary: "print the cluster's event log",
                examples: [
                    .init("confab events --last 100", "oldest first"),
                    .init("confab events --follow", "continue with new events"),
                ],
                notes: [
                    """
                    Nodes record joins, deaths, moves, drains, departures and restored shards by \
                    themselves. The events drain, resume and send record actions of operators. \
                    With --follow and --output json every event is an object on a line of its own.
                    """
                ])
        case .drain:
            CommandHelp(
                summary: "take a node out of service",
                arguments: [.init("NODE", "the node's name")],
                examples: [
                    .init("confab drain n1 --yes", "hand over its shards and close its clients"),
                    .init("confab drain n1 --rate 200 --dry-run", "only report what it would do"),
                ],
                notes: [
                    """
                    The node hands over its shards, and then closes its clients with 1012, one \
                    after the other, so that they reconnect elsewhere. It keeps running, accepts \
                    no clients, and answers /api/health with 503 `draining` until `confab resume` \
                    or its end. The drain continues even if this command is interrupted. A node \
                    without other nodes keeps its shards.
                    """
                ])
        case .resume:
            CommandHelp(
                summary: "return a drained node to service",
                arguments: [.init("NODE", "the node's name")],
                examples: [
                    .init("confab resume n1 --yes", "accept clients and shards again")
                ])
        }
    }
}
