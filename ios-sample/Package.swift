// swift-tools-version: 6.0
//
// The app for a machine without Xcode: everything that is not a view runs in tests against the real library, and the
// views are compiled against the stub of SwiftUI in Stub/. Xcode does not read this file: it opens what XcodeGen makes of
// project.yml, from the same Sources/. README.md says what a build against a stub proves, and what it does not.

import PackageDescription

#if os(Linux)
    let stubs: [Target] = [
        .target(name: "SwiftUI", dependencies: ["UniformTypeIdentifiers"], path: "Stub/SwiftUI"),
        .target(name: "UniformTypeIdentifiers", path: "Stub/UniformTypeIdentifiers"),
    ]
    let stubbed: [Target.Dependency] = ["SwiftUI", "UniformTypeIdentifiers"]
#else
    let stubs: [Target] = []
    let stubbed: [Target.Dependency] = []
#endif

let package = Package(
    name: "NearsideSample",
    platforms: [.iOS(.v17), .macOS(.v14)],
    dependencies: [.package(name: "Nearside", path: "../bindings/swift")],
    targets: stubs + [
        .executableTarget(
            name: "NearsideSample",
            dependencies: [.product(name: "NearsideKit", package: "Nearside")] + stubbed,
            path: "Sources"),
        .testTarget(name: "NearsideSampleTests", dependencies: ["NearsideSample"], path: "Tests"),
    ],
    swiftLanguageModes: [.v6]
)
