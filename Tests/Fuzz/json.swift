/// The entry point of `script/fuzz json`.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    JSONProperty.check(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}
