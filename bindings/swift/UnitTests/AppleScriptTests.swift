// The plan of `scripts/apple.sh`, and the privacy manifest of the package.

import Foundation
import Testing

@Suite struct AppleScriptTests {
    @Test func everyPlatformIsBuiltForTheSystemsThatThePackageNames() throws {
        let builds = try runAppleScript("--plan").output.filter { $0.contains(" cargo rustc ") }
        #expect(targets(builds) == ["aarch64-apple-ios", "aarch64-apple-ios-sim", "aarch64-apple-darwin"])
        let package = try String(contentsOf: root.appending(path: "Package.swift"), encoding: .utf8)
        for build in builds {
            let isMac = build.contains("-apple-darwin")
            let variable = isMac ? "MACOSX_DEPLOYMENT_TARGET" : "IPHONEOS_DEPLOYMENT_TARGET"
            let version = try #require(build.firstMatch(of: try Regex(" \(variable)=([0-9]+)")))[1].substring ?? ""
            #expect(package.contains(isMac ? ".macOS(.v\(version))" : ".iOS(.v\(version))"), "\(build)")
            #expect(build.contains("CMAKE_OSX_ARCHITECTURES=arm64 "))
            #expect(build.contains("--crate-type cdylib"))
            let inside = isMac ? "NearsideFFI.framework/Versions/A/NearsideFFI" : "NearsideFFI.framework/NearsideFFI"
            #expect(build.contains("-install_name\\,@rpath/\(inside) "), "\(build)")
        }
    }

    @Test func aSimulatorComputesWithoutMetal() throws {
        for build in try runAppleScript("--plan", "--intel").output where build.contains(" cargo rustc ") {
            let isSimulator = build.contains("CMAKE_OSX_SYSROOT=iphonesimulator ")
            #expect(build.contains(" GGML_METAL=OFF ") == isSimulator, "\(build)")
        }
    }

    @Test func intelsProcessorsAreBuiltOnlyOnRequest() throws {
        let plan = try runAppleScript("--plan", "--intel").output
        let builds = plan.filter { $0.contains(" cargo rustc ") }
        #expect(targets(builds).isSuperset(of: ["x86_64-apple-ios", "x86_64-apple-darwin"]) && builds.count == 5)
        for build in builds where build.contains("--target x86_64") {
            #expect(build.contains("CMAKE_OSX_ARCHITECTURES=x86_64 "))
        }
        let joined = plan.filter { $0.hasPrefix("lipo ") && $0.contains("/x86_64-") && $0.contains("/aarch64-") }
        #expect(joined.count == 4, "libraries and debug information, for simulators and Macs")
    }

    @Test func theXCFrameworkHasAFrameworkWithSymbolsForDevicesSimulatorsAndMacs() throws {
        let plan = try runAppleScript("--plan").output
        let create = try #require(plan.first { $0.hasPrefix("xcodebuild -create-xcframework") })
        let frameworks = create.components(separatedBy: " -framework ").dropFirst()
        #expect(frameworks.count == 3 && create.components(separatedBy: " -debug-symbols ").count == 4)
        let made = plan.prefix { $0 != create }
        for framework in frameworks {
            let path = framework.components(separatedBy: " ")[0]
            #expect(path.hasSuffix("/NearsideFFI.framework"))
            let folder = path.dropLast("/NearsideFFI.framework".count)
            #expect(made.contains { $0.contains("scripts/apple-framework.py ") && $0.hasSuffix(folder) })
            #expect(made.contains { $0.contains("scripts/check-exports.py \(folder)/libnearside_ffi.dylib ") })
            #expect(made.contains { $0.hasPrefix("cp ") && $0.hasSuffix("\(path).dSYM") })
        }
        #expect(plan.contains { $0.hasPrefix("plutil -lint") })
    }

    @Test func thePackagesNameTheFrameworkAndTheAddress() throws {
        let address = "https://example.org/NearsideFFI.xcframework.zip"
        let plan = try runAppleScript("--plan", "--url", address).output
        let packages = plan.filter { $0.contains("/swift-package.py ") }
        let (local, published) = (try #require(packages.first), try #require(packages.last))
        #expect(local.contains("/apple/nearside --local ") && local.contains("/NearsideFFI.xcframework --generated "))
        #expect(published.contains("/published/nearside --url \(address) --checksum CHECKSUM --generated "))
        #expect(try runAppleScript("--plan").output.filter { $0.contains("/swift-package.py ") }.count == 1)
    }

    @Test func whatCannotBeDoneIsSaidWithARemedy() throws {
        let unknown = try runAppleScript("--bogus")
        #expect(unknown.code == 1)
        #expect(
            unknown.errors == [
                "error: unknown option `--bogus`", "help: the options are --intel, --url and --plan",
            ])
        #if os(Linux)
            let here = try runAppleScript()
            #expect(here.code == 1)
            #expect(here.errors.first == "error: an XCFramework can only be built on a Mac, and this is Linux")
            #expect(here.errors.last?.contains("--plan") == true)
        #endif
    }

    @Test func thePrivacyManifestNamesWhatTheLibraryCallsAndWhy() throws {
        let file = root.appending(path: "bindings/swift/Sources/NearsideKit/PrivacyInfo.xcprivacy")
        let manifest = try PropertyListSerialization.propertyList(from: Data(contentsOf: file), format: nil)
        let fields = try #require(manifest as? [String: Any])
        #expect(fields["NSPrivacyTracking"] as? Bool == false)
        #expect((fields["NSPrivacyCollectedDataTypes"] as? [Any])?.isEmpty == true)
        var reasons: [String: Set<String>] = [:]
        for api in try #require(fields["NSPrivacyAccessedAPITypes"] as? [[String: Any]]) {
            let name = try #require(api["NSPrivacyAccessedAPIType"] as? String)
            reasons[name] = Set(try #require(api["NSPrivacyAccessedAPITypeReasons"] as? [String]))
        }
        #expect(
            reasons == [
                "NSPrivacyAccessedAPICategoryFileTimestamp": ["C617.1", "3B52.1"],
                "NSPrivacyAccessedAPICategoryDiskSpace": ["E174.1"],
                "NSPrivacyAccessedAPICategorySystemBootTime": ["35F9.1"],
            ])
        // The manifest must not declare an unused API: each category has its call in the core.
        let sources = try contents(of: root.appending(path: "core/src"))
        for call in [".modified()", "available_space", "Instant::now"] { #expect(sources.contains(call), "\(call)") }
    }

    private let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private func targets(_ builds: [String]) -> Set<String> {
        Set(builds.compactMap { $0.split(separator: " ").drop { $0 != "--target" }.dropFirst().first.map(String.init) })
    }

    private func contents(of folder: URL) throws -> String {
        let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
        return try (files?.compactMap { $0 as? URL } ?? []).filter { $0.pathExtension == "rs" }
            .map { try String(contentsOf: $0, encoding: .utf8) }.joined()
    }

    private func runAppleScript(_ arguments: String...) throws -> (output: [String], errors: [String], code: Int32) {
        let process = Process()
        let (output, errors) = (Pipe(), Pipe())
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        process.arguments = [root.appending(path: "scripts/apple.sh").path] + arguments
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        // The plan and two lines of errors fit into the pipe's buffer.
        process.waitUntilExit()
        func lines(_ pipe: Pipe) -> [String] {
            String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
                .split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
        }
        return (lines(output), lines(errors), process.terminationStatus)
    }
}
