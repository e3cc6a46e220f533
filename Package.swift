// swift-tools-version: 6.0
// The Swift package of this repository: apps import `NearsideKit`, their tests also `NearsideTesting`.
//
// From a clone it is for programs on this machine: it links the library that `make bindings` builds in target/release, or
// the one in NEARSIDE_LIBRARY_DIR. Apps for iOS use the package that scripts/apple.sh writes to target/apple/nearside, and
// that a release publishes. scripts/swift-package.py makes it of this file: it replaces the part `library`, leaves out the
// part `development`, and shortens the paths. So nothing here may depend on which files are there; besides, the package
// manager caches the result of a manifest and would not notice a new file.
//
// This file has not been tested on an Apple machine yet.

import PackageDescription

// part library
#if os(Linux)
    // Debian's libswiftObservation lacks a symbol that nothing here calls (swiftlang/swift #75670, fixed in 6.2).
    let linker = ["-Xlinker", "--allow-shlib-undefined"]
#else
    let linker: [String] = []
#endif
let library = Context.environment["NEARSIDE_LIBRARY_DIR"] ?? "\(Context.packageDirectory)/target/release"
let ffi: Target = .systemLibrary(name: "NearsideFFI", path: "bindings/swift/Sources/NearsideFFI")
let link: [LinkerSetting] = [
    .linkedLibrary("nearside_ffi"),
    .unsafeFlags(["-L\(library)", "-Xlinker", "-rpath", "-Xlinker", library] + linker),
]
// end

let package = Package(
    name: "nearside",
    platforms: [.iOS(.v16), .macOS(.v13)],
    products: [
        .library(name: "NearsideKit", targets: ["NearsideKit"]),
        .library(name: "NearsideTesting", targets: ["NearsideTesting"]),
    ],
    targets: [
        // The C interface of the library.
        ffi,
        .target(
            name: "NearsideKit",
            dependencies: ["NearsideFFI"],
            path: "bindings/swift/Sources/NearsideKit",
            // The XCFramework contains it.
            exclude: ["PrivacyInfo.xcprivacy"],
            linkerSettings: link),
        .target(
            name: "NearsideTesting", dependencies: ["NearsideKit"], path: "bindings/swift/Sources/NearsideTesting"),
    ],
    swiftLanguageModes: [.v6]
)

// part development
package.targets += [
    .executableTarget(
        name: "NearsideBench", dependencies: ["NearsideTesting"], path: "bindings/swift/Sources/NearsideBench"),
    // Scenarios with the same names as in Kotlin; the unit tests cover Swift only.
    .testTarget(name: "NearsideTests", dependencies: ["NearsideTesting"], path: "bindings/swift/Tests/NearsideTests"),
    .testTarget(name: "NearsideUnitTests", dependencies: ["NearsideTesting"], path: "bindings/swift/UnitTests"),
]
// end
