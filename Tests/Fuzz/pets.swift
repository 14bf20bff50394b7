/// The entry point of `script/fuzz pets`.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    PetsProperty.check(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}
