// Opening the library. An app opens it with `await`: the files are then read on other threads than the caller's.
//
// On Apple's systems every form passes an `AppleHost` unless the app passes a host of its own: without one the library
// would take the free memory of the whole phone for that of the app, and the system would end the app.

import Foundation

#if targetEnvironment(macCatalyst)
    #error("NearsideKit does not support Mac Catalyst: run the iOS app on Macs as it is, or build an app for macOS")
#elseif os(visionOS) || os(tvOS) || os(watchOS)
    #error("NearsideKit supports iOS and macOS only")
#endif

extension Nearside {
    /// Opens the library in the app's ``AppDirectories/standard()``: what an app calls once, at its start.
    public static func open(host: (any DeviceHost)? = nil) async throws -> Nearside {
        try await open(AppDirectories.standard(), host: host)
    }

    /// Opens the library in these directories.
    public static func open(_ directories: AppDirectories, host: (any DeviceHost)? = nil) async throws -> Nearside {
        try await open(config: .directories(directories), host: host)
    }

    /// Opens the library with these settings. Creates its directories if they are missing, and loads no model.
    public static func open(config: Config, host: (any DeviceHost)? = nil) async throws -> Nearside {
        try LaunchScript.play()
        return try await openWithHost(config: config, host: host ?? systemHost())
    }

    /// Opens the library in one directory, and waits for the disk. An app uses ``open(host:)``, which does not, and which
    /// keeps conversations in a directory that is backed up.
    public convenience init(directory: URL, host: (any DeviceHost)? = nil) throws {
        try self.init(config: Config(directory: directory.path), host: host)
    }

    /// Opens the library with these settings, and waits for the disk: milliseconds, or seconds while data moves to a new
    /// data directory.
    public convenience init(config: Config, host: (any DeviceHost)? = nil) throws {
        try LaunchScript.play()
        if let host = host ?? Nearside.systemHost() {
            // UniFFI turns a named constructor into a static function; `self` gets a handle of its own, cloned from it.
            self.init(unsafeFromHandle: try Nearside.withHost(config: config, host: host).uniffiCloneHandle())
        } else {
            try self.init(configAlone: config)
        }
    }

    private static func systemHost() -> (any DeviceHost)? {
        #if canImport(Darwin) && canImport(Network)
            AppleHost()
        #else
            nil
        #endif
    }
}
