extension CommandTable {
    static let operatorCommands = OperatorOptions.Verb.allCases.map(operatorCommand)

    static func operatorCommand(_ verb: OperatorOptions.Verb) -> CommandSpec {
        let words = self.commandHelp(of: verb)
        return CommandSpec(
            verb.rawValue, words.summary, arguments: words.arguments,
            options: OperatorTable.bindings(of: verb).map(\.spec) + [helpOption],
            examples: words.examples, notes: words.notes)
    }

    private struct CommandHelp {
        let summary: String
        var arguments: [CommandSpec.Argument] = []
        let examples: [CommandSpec.Example]
        var notes: [String] = []
    }

    private static let conversation = CommandSpec.Argument("CONVERSATION", "the conversation's id")
    private static let missingNodesNote =
        "A node that does not answer within two seconds is a row without numbers, and the exit status is 3. Every row is one of the JSON "
        + "document's; its keys are the columns' names."

    private static let redisSourceNote =
        "With --via no node is asked: what stands in Redis is read, and nothing written. What only nodes know is missing then; a node that "
        + "has not said for three seconds that it lives is gone."

    private static func commandHelp(of verb: OperatorOptions.Verb) -> CommandHelp {
        switch verb {
        case .status:
            CommandHelp(
                summary: "the cluster on one screen, and what is wrong",
                examples: [.init("confab status", "what is wrong, if anything")],
                notes: [self.missingNodesNote])
        case .nodes:
            CommandHelp(
                summary: "the nodes, what they carry and how they are",
                examples: [
                    .init("confab nodes --sort -connections", "the busiest first"),
                    .init(
                        "confab nodes --output json --admin http://10.0.0.7:8090",
                        "for a program, by way of another node"),
                    .init(
                        "confab nodes --via redis://10.0.0.9:6379 --watch",
                        "while no node answers, until one does"),
                ], notes: [self.missingNodesNote, self.redisSourceNote])
        case .shards:
            CommandHelp(
                summary: "which node owns which of the 4,096 shards",
                examples: [
                    .init(
                        "confab shards --node n1 --sort -conversations --limit 10",
                        "the fullest of a node's")
                ],
                notes: [
                    "A shard has an epoch once it has been claimed, which happens when one of its conversations is first needed; SINCE says "
                        + "when that was. After its owner stood still it has none until it is needed again. CONVERSATIONS are those in memory, "
                        + "MSG/S the messages of the last second."
                ])
        case .owner:
            CommandHelp(
                summary: "who owns a conversation, and why", arguments: [self.conversation],
                examples: [.init("confab owner lobby", "its shard, owner and epoch")])
        case .history:
            CommandHelp(
                summary: "messages of a conversation", arguments: [self.conversation],
                examples: [
                    .init("confab history lobby --last 50", "the newest fifty"),
                    .init("confab history lobby --after 120 --output json", "a program's page"),
                ])
        case .tail:
            CommandHelp(
                summary: "messages of a conversation, as they come", arguments: [self.conversation],
                examples: [.init("confab tail lobby", "until Ctrl-C")],
                notes: [
                    "With --output json every message is an object on a line of its own. Without --after it begins with what comes next."
                ])
        case .send:
            CommandHelp(
                summary: "say something in a conversation",
                arguments: [self.conversation, .init("TEXT", "what to say")],
                examples: [.init("confab send lobby Hello --as ops --yes", "as the user ops")],
                notes: [
                    "It goes the way of every message: it has its number and is stored when this is done."
                ])
        case .verify:
            CommandHelp(
                summary: "say whether a conversation's stream is whole",
                arguments: [self.conversation],
                examples: [.init("confab verify lobby", "exit status 0: it is")],
                notes: [
                    "Reads everything that is kept: no number is missing and none is there twice, numbers and revisions rise, and the end is "
                        + "where the owner says. Exit status 1 when it is not so."
                ])
        case .redis:
            CommandHelp(
                summary: "Redis, as each node sees it",
                examples: [
                    .init("confab redis", "round trips, memory, and the age of the last delivery")
                ],
                notes: [
                    "ROUND TRIP is that of one INFO, STREAM BYTES what all conversations' messages take (of many keys an estimate), LAST DELIVERY how long ago the node's mailbox last brought it what it had sent itself, "
                        + "REBUILDS how often it had to listen anew because nothing came."
                ])
        case .events:
            CommandHelp(
                summary: "what happened in the cluster",
                examples: [
                    .init("confab events --last 100", "oldest first"),
                    .init("confab events --follow", "and what happens from here on"),
                ],
                notes: [
                    "Who joins, dies, moves, drains, stays, leaves or restores shards is what nodes did by themselves; drain, resume and send are "
                        + "what operators had them do. With --follow and --output json every event is an object on a line of its own."
                ])
        case .drain:
            CommandHelp(
                summary: "take a node out of service without a loss",
                arguments: [.init("NODE", "the node's name")],
                examples: [
                    .init("confab drain n1 --yes", "hand its shards over, and close its clients"),
                    .init("confab drain n1 --rate 200 --dry-run", "what that would do"),
                ],
                notes: [
                    "The node hands its shards over, then closes its clients with 1012 one after the other; they come again elsewhere. It stays "
                        + "up, takes nobody and answers /api/health with 503 `draining` until `confab resume` or its end. The node does all that: "
                        + "ending this command stops nothing. Alone it has nobody to give its shards to, and keeps them."
                ])
        case .resume:
            CommandHelp(
                summary: "take a drained node into service again",
                arguments: [.init("NODE", "the node's name")],
                examples: [
                    .init("confab resume n1 --yes", "it takes clients, and its share of the shards")
                ])
        }
    }
}
