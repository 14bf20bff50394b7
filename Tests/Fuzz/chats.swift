/// The entry point of `script/fuzz chats`.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    ChatsProperty.check(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}
