// swift-tools-version: 6.0
// The package for machines without Xcode: tests run all code except views against the real library, and the views are
// compiled against the stub of SwiftUI in Stub/. Xcode does not read this file: it opens the project that XcodeGen
// generates from project.yml, with the same Sources/. README.md says what a build against a stub proves.

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
    dependencies: [.package(name: "nearside", path: "..")],
    targets: stubs + [
        .executableTarget(
            name: "NearsideSample",
            dependencies: [.product(name: "NearsideKit", package: "nearside")] + stubbed,
            path: "Sources"),
        .testTarget(name: "NearsideSampleTests", dependencies: ["NearsideSample"], path: "Tests"),
    ],
    swiftLanguageModes: [.v6]
)
