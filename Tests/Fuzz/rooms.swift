/// The entry point of `script/fuzz rooms`.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    RoomsProperty.check(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}
