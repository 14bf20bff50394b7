/// The entry point of `script/fuzz socketio`.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    SocketProperty.check(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}
