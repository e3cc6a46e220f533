// The directories of an app.

import Foundation
import NearsideTesting
import Testing

@Suite struct AppDirectoriesTests {
    @Test func bothAreCreatedAndTheLibraryUsesThem() async throws {
        let base = freshDirectory()
        let directories = try AppDirectories(
            models: base.appendingPathComponent("Models"), data: base.appendingPathComponent("Data"))
        let states = directories.models.appendingPathComponent("states")
        let rights = try FileManager.default.attributesOfItem(atPath: states.path)[.posixPermissions]
        #expect((rights as? NSNumber)?.intValue == 0o700)
        for directory in [directories.models, directories.data, states] {
            var isDirectory: ObjCBool = false
            #expect(FileManager.default.fileExists(atPath: directory.path, isDirectory: &isDirectory))
            #expect(isDirectory.boolValue)
        }
        #if canImport(Darwin)
            let key: Set<URLResourceKey> = [.isExcludedFromBackupKey]
            #expect(try directories.models.resourceValues(forKeys: key).isExcludedFromBackup == true)
            #expect(try directories.data.resourceValues(forKeys: key).isExcludedFromBackup != true)
        #endif
        let nearside = try await Nearside.open(directories)
        #expect(try await nearside.models().isEmpty)
        #expect(FileManager.default.fileExists(atPath: directories.data.appendingPathComponent("state.db").path))
        #expect(!FileManager.default.fileExists(atPath: directories.models.appendingPathComponent("state.db").path))
    }
}
