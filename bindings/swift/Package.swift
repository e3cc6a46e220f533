// swift-tools-version: 6.0
//
// One import for apps, `NearsideKit`, and one more for their tests, `NearsideTesting`. Below them, `NearsideFFI` is the C
// face of the library, and `NearsideGenerated` is what UniFFI wrote (its runtime is not made for Swift 6's language mode).
//
// Where the library comes from:
// - NEARSIDE_LIBRARY_DIR: a folder into which cargo built it for this host, found at run time where it was found at build
//   time. On Linux the repository's own by default. scripts/bindings.sh builds it and writes the generated code.
// - else an XCFramework that scripts/apple.sh made, beside this file. With NEARSIDE_TESTING=1 the one for tests, which can
//   play scripts; an app is shipped without.
//
// No machine of Apple's has seen this file yet.

import PackageDescription

#if os(Linux)
    let library: String? =
        Context.environment["NEARSIDE_LIBRARY_DIR"] ?? "\(Context.packageDirectory)/../../target/release"
    // Debian's libswiftObservation lacks a symbol that nothing here calls (swiftlang/swift #75670, mended in 6.2).
    let linker = ["-Xlinker", "--allow-shlib-undefined"]
#else
    let library = Context.environment["NEARSIDE_LIBRARY_DIR"]
    let linker: [String] = []
#endif

let forTests = Context.environment["NEARSIDE_TESTING"] == "1"
let ffi: Target
let generated: String
let link: [LinkerSetting]
if let library {
    ffi = .systemLibrary(name: "NearsideFFI")
    generated = "Sources/NearsideGenerated"
    link = [
        .linkedLibrary("nearside_ffi"),
        .unsafeFlags(["-L\(library)", "-Xlinker", "-rpath", "-Xlinker", library] + linker),
    ]
} else {
    let folder = forTests ? "Apple/testing" : "Apple/release"
    ffi = .binaryTarget(name: "NearsideFFI", path: "\(folder)/NearsideFFI.xcframework")
    generated = "\(folder)/NearsideGenerated"
    link = [
        .linkedLibrary("c++"), .linkedFramework("Accelerate"), .linkedFramework("Foundation"),
        .linkedFramework("Metal"), .linkedFramework("MetalKit"),
    ]
}

// What scripts/bindings.sh builds can always play scripts.
let scripts: [SwiftSetting] = library != nil || forTests ? [.define("NEARSIDE_TESTING")] : []

let package = Package(
    name: "Nearside",
    platforms: [.iOS(.v16), .macOS(.v13)],
    products: [
        .library(name: "NearsideKit", targets: ["NearsideKit"]),
        .library(name: "NearsideTesting", targets: ["NearsideTesting"]),
    ],
    targets: [
        ffi,
        .target(
            name: "NearsideGenerated",
            dependencies: ["NearsideFFI"],
            path: generated,
            swiftSettings: [.swiftLanguageMode(.v5)],
            linkerSettings: link),
        .target(name: "NearsideKit", dependencies: ["NearsideGenerated"], resources: [.copy("PrivacyInfo.xcprivacy")]),
        .target(name: "NearsideTesting", dependencies: ["NearsideKit"], swiftSettings: scripts),
        // Scripts are what it measures with, so it is there only where they are.
        .executableTarget(name: "NearsideBench", dependencies: ["NearsideTesting"], swiftSettings: scripts),
        // The scenarios, by the same names as in Kotlin, and what only Swift has.
        .testTarget(name: "NearsideTests", dependencies: ["NearsideKit"]),
        .testTarget(
            name: "NearsideUnitTests", dependencies: ["NearsideTesting"], path: "UnitTests", swiftSettings: scripts),
    ],
    swiftLanguageModes: [.v6]
)
