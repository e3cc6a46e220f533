// A stub: see ../SwiftUI/View.swift.

public struct UTType: Sendable, Hashable {
    public static let data = UTType()
    public init?(filenameExtension: String) {}
    private init() {}
}
