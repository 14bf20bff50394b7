/// The entry point of `script/fuzz redis`.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    RedisReplyProperty.check(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}
