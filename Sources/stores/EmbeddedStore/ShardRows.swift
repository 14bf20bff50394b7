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
            let row = self.selection
            let owner = LoopID(
                incarnation: UInt64(bitPattern: Int64(row.int(2))),
                loop: UInt16(truncatingIfNeeded: row.int(3)))
            let fence = ShardFence(epoch: row.int(1), owner: owner)
            guard Self.checksum(of: fence, at: row.int(0)) == row.int(4) else {
                throw .damaged("the row of shard \(row.int(0)) is not what was stored")
            }
            fences[row.int(0)] = fence
        }
        return fences
    }

    func put(_ fence: ShardFence, at shard: Int) throws(StorageFault) {
        self.replacement.bind(1, shard)
        self.replacement.bind(2, fence.epoch)
        self.replacement.bind(3, Int(Int64(bitPattern: fence.owner.incarnation)))
        self.replacement.bind(4, Int(fence.owner.loop))
        self.replacement.bind(5, Self.checksum(of: fence, at: shard))
        try self.replacement.run()
    }

    private static func checksum(of fence: ShardFence, at shard: Int) -> Int {
        var sum = RowChecksum()
        sum.fold(shard)
        sum.fold(fence.epoch)
        sum.fold(Int(Int64(bitPattern: fence.owner.incarnation)))
        sum.fold(Int(fence.owner.loop))
        return sum.value
    }
}
