// swift-tools-version: 6.0
//
// Three targets, one import. `NearsideFFI` is the C face of the library; `NearsideGenerated` is what UniFFI wrote (its
// runtime is not made for Swift 6's language mode); `Nearside` is the hand-written half and re-exports the generated
// one. scripts/bindings.sh builds the library and writes the first two.
// No machine of Apple's has seen this file yet.

import PackageDescription

// A host's own library, as cargo built it: found at run time where it was found at build time.
#if os(Linux)
    let library: String? =
        Context.environment["NEARSIDE_LIBRARY_DIR"] ?? "\(Context.packageDirectory)/../../target/release"
    // Debian's libswiftObservation lacks a symbol that nothing here calls (swiftlang/swift #75670, mended in 6.2).
    let linker = ["-Xlinker", "--allow-shlib-undefined"]
#else
    let library = Context.environment["NEARSIDE_LIBRARY_DIR"]
    let linker: [String] = []
#endif

let ffi: Target
let link: [LinkerSetting]
if let library {
    ffi = .systemLibrary(name: "NearsideFFI")
    link = [
        .linkedLibrary("nearside_ffi"),
        .unsafeFlags(["-L\(library)", "-Xlinker", "-rpath", "-Xlinker", library] + linker),
    ]
} else {
    ffi = .binaryTarget(name: "NearsideFFI", path: "NearsideFFI.xcframework")
    link = [.linkedLibrary("c++"), .linkedFramework("Accelerate"), .linkedFramework("Metal")]
}

let package = Package(
    name: "Nearside",
    platforms: [.iOS(.v16), .macOS(.v13)],
    products: [.library(name: "Nearside", targets: ["Nearside"])],
    targets: [
        ffi,
        .target(
            name: "NearsideGenerated",
            dependencies: ["NearsideFFI"],
            swiftSettings: [.swiftLanguageMode(.v5)],
            linkerSettings: link),
        .target(name: "Nearside", dependencies: ["NearsideGenerated"]),
        .testTarget(name: "NearsideTests", dependencies: ["Nearside"]),
    ],
    swiftLanguageModes: [.v6]
)
