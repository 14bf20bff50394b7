/// The entry point of `script/fuzz websocket`.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    WireProperty.checkWebSocket(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}
