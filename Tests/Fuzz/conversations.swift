/// The entry point of `script/fuzz conversations`.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    ConversationsProperty.check(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}
