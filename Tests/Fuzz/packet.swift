/// The entry point of `script/fuzz packet`.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    PacketProperty.check(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}
