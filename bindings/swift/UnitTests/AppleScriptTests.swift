// The plan of `scripts/apple.sh`, and the privacy manifest of the package.

import Foundation
import Testing

@Suite struct AppleScriptTests {
    @Test func everyPlatformIsBuiltForTheSystemsThatThePackageNames() throws {
        let plan = try runAppleScript("--plan").output
        let builds = plan.filter { $0.contains(" cargo rustc ") }
        let targets = builds.compactMap { $0.split(separator: " ").drop { $0 != "--target" }.dropFirst().first }
        #expect(
            Set(targets) == [
                "aarch64-apple-ios", "aarch64-apple-ios-sim", "x86_64-apple-ios", "aarch64-apple-darwin",
                "x86_64-apple-darwin",
            ])
        let package = try String(contentsOf: root.appending(path: "bindings/swift/Package.swift"), encoding: .utf8)
        for build in builds {
            let isMac = build.contains("-apple-darwin")
            let variable = isMac ? "MACOSX_DEPLOYMENT_TARGET" : "IPHONEOS_DEPLOYMENT_TARGET"
            let version = try #require(build.firstMatch(of: try Regex(" \(variable)=([0-9]+)")))[1].substring ?? ""
            #expect(package.contains(isMac ? ".macOS(.v\(version))" : ".iOS(.v\(version))"), "\(build)")
            #expect(build.contains("CMAKE_OSX_ARCHITECTURES=\(build.contains("x86_64") ? "x86_64" : "arm64")"))
            #expect(build.contains(" GGML_METAL=OFF ") == build.contains("CMAKE_OSX_SYSROOT=iphonesimulator"))
            #expect(build.contains("--crate-type staticlib") && !build.contains("nearside-ffi/testing"))
        }
    }

    @Test func theFrameworkHasALibraryForDevicesSimulatorsAndMacs() throws {
        let plan = try runAppleScript("--plan").output
        let create = try #require(plan.first { $0.hasPrefix("xcodebuild -create-xcframework") })
        #expect(create.components(separatedBy: " -library ").count == 4)
        #expect(create.components(separatedBy: " -headers ").count == 4)
        // An earlier line of the plan makes each of them.
        let made = plan.prefix { $0 != create }.joined(separator: " \n")
        for library in create.components(separatedBy: " -library ").dropFirst() {
            let folder = library.split(separator: " ")[0].split(separator: "/").dropLast()
            let platform = String(try #require(folder.last { $0 != "mobile" }))
            let isJoined = made.contains("-output /\(folder.joined(separator: "/"))")
            #expect(isJoined || made.contains("--target \(platform) "))
        }
        #expect(plan.contains { $0.hasSuffix("/NearsideFFI.xcframework.zip.checksum") })
        #expect(plan.contains { $0.hasPrefix("plutil -lint") })
        let archive = try #require(plan.first { $0.hasPrefix("tar ") })
        #expect(archive.contains("NearsideSwift-release.tar.gz") && archive.contains("--exclude Apple/testing"))
    }

    @Test func theOneForTestsStandsApartAndCanPlayScripts() throws {
        let plan = try runAppleScript("--plan", "--testing").output
        let builds = plan.filter { $0.contains(" cargo rustc ") }
        #expect(builds.count == 5 && builds.allSatisfy { $0.contains("--features nearside-ffi/testing") })
        #expect(plan.contains { $0.contains("bindings/swift/Apple/testing/NearsideGenerated") })
        #expect(!plan.contains { $0.contains("bindings/swift/Apple/release") })
    }

    @Test func whatCannotBeDoneIsSaidWithARemedy() throws {
        let unknown = try runAppleScript("--bogus")
        #expect(unknown.code == 1)
        #expect(
            unknown.errors == [
                "error: unknown option `--bogus`", "help: the options are --testing, --symbols and --plan",
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
