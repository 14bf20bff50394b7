/// The entry point of `script/fuzz inflate`.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    WireProperty.checkInflate(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}
