// The two directories of an app: models, which can be downloaded again, and data, which cannot.

import Foundation

/// The directories that an app gives to the library, with the attributes that they need.
///
///     let nearside = try await Nearside.open()
///
/// An app that had one directory before keeps it as `models` and adds `data`: the library moves conversations, providers,
/// policy and spending there, once, at the next start.
public struct AppDirectories: Sendable {
    /// Models, partial downloads and, in `states`, the states of conversations; excluded from backups. On a phone the states are
    /// encrypted as `data` is.
    public let models: URL
    /// Conversations, providers, policy and spending. Backed up; on a phone encrypted until the first unlock after a start.
    public let data: URL

    /// Creates the directories if they are missing, and sets their attributes. Waits for the disk.
    public init(models: URL, data: URL) throws {
        self.models = models
        self.data = data
        let states = models.appendingPathComponent("states", isDirectory: true)
        for directory in [models, data] {
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        }
        // What the library would give it: states are content, and belong to this app alone.
        try FileManager.default.createDirectory(
            at: states, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        var excluded = models
        var values = URLResourceValues()
        values.isExcludedFromBackup = true
        try excluded.setResourceValues(values)
        #if canImport(Darwin) && !os(macOS)
            // Files that are created in it inherit this. An answer goes on while the phone is locked.
            for directory in [data, states] {
                try FileManager.default.setAttributes(
                    [.protectionKey: FileProtectionType.completeUntilFirstUserAuthentication],
                    ofItemAtPath: directory.path)
            }
        #endif
    }

    /// Returns `Nearside/Models` and `Nearside/Data` in the application support directory. Waits for the disk;
    /// ``Nearside/open(host:)`` calls it on another thread than the caller's.
    public static func standard() throws -> AppDirectories {
        let base = FileManager.default.urls(for: .applicationSupportDirectory, in: .userDomainMask)[0]
            .appendingPathComponent("Nearside", isDirectory: true)
        return try AppDirectories(
            models: base.appendingPathComponent("Models", isDirectory: true),
            data: base.appendingPathComponent("Data", isDirectory: true))
    }
}

extension Config {
    /// Returns the default settings with these directories.
    public static func directories(_ directories: AppDirectories) -> Config {
        Config(directory: directories.models.path, dataDirectory: directories.data.path)
    }
}
