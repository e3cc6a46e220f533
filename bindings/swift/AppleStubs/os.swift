// See Darwin.swift.
//
// The names are Apple's, so:
// swift-format-ignore-file

public struct OSAllocatedUnfairLock<State>: @unchecked Sendable {
    public init(initialState: State) where State: Sendable {}

    public func withLock<R: Sendable>(_ body: @Sendable (inout State) throws -> R) rethrows -> R {
        fatalError("a stub")
    }
}

public func os_proc_available_memory() -> Int { 0 }
