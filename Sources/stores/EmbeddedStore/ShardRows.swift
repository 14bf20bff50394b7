import ChatModel

/// The table `shards`: the owner of each shard. It is read once at opening and then kept in memory.
struct ShardRows {
    private let replacement: SQLiteStatement
    private let selection: SQLiteStatement

    init(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        self.selection = try connection.prepare(
            "SELECT shard, epoch, incarnation, loop, checksum FROM shards")
        self.replacement = try connection.prepare("REPLACE INTO shards VALUES (?, ?, ?, ?, ?)")
    }

    func all() throws(StorageFault) -> [Int: ShardFence] {
        var fences: [Int: ShardFence] = [:]
        defer { self.selection.reset() }
        while try self.selection.next() {
            var row = RowReader(self.selection)
            let (shard, epoch) = (row.number(), row.number())
            let owner = LoopID(
                incarnation: UInt64(bitPattern: Int64(row.number())),
                loop: UInt16(truncatingIfNeeded: row.number()))
            guard row.isIntact else {
                throw .damaged("the row of shard \(shard) is not what was stored")
            }
            fences[shard] = ShardFence(epoch: epoch, owner: owner)
        }
        return fences
    }

    func put(_ fence: ShardFence, at shard: Int) throws(StorageFault) {
        var row = RowWriter(self.replacement)
        row.append(shard)
        row.append(fence.epoch)
        row.append(Int(Int64(bitPattern: fence.owner.incarnation)))
        row.append(Int(fence.owner.loop))
        try row.run()
    }
}
