// Where an app keeps the credentials of its providers between two starts. The library keeps none: it is given them,
// holds them in memory, and prints them nowhere.
//
// Apple's systems have the keychain for it; elsewhere it is files that only this user may read.

import Foundation

/// Keeps one credential for each provider.
public protocol Keys: Sendable {
    /// The credential of the provider of this name, if one is kept.
    func load(provider: String) throws -> String?

    /// Keeps a credential, in place of the one before.
    func save(provider: String, key: String) throws

    /// Forgets a credential, if one is kept.
    func remove(provider: String) throws
}

extension Nearside {
    /// Sets the stored credential of every configured provider.
    public func useKeys(_ keys: any Keys) async throws {
        for provider in try await providers().map(\.settings.name) {
            if let key = try keys.load(provider: provider) { try setKey(provider: provider, key: key) }
        }
    }
}

/// Keeps credentials in a directory, a file each that only this user may read. On Apple's systems take `KeychainKeys`.
public struct FileKeys: Keys {
    private let directory: URL

    public init(directory: URL) {
        self.directory = directory
    }

    public func load(provider: String) throws -> String? {
        guard FileManager.default.fileExists(atPath: file(provider).path) else { return nil }
        return String(decoding: try Data(contentsOf: file(provider)), as: UTF8.self)
    }

    public func save(provider: String, key: String) throws {
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let new = directory.appendingPathComponent(UUID().uuidString)
        // The owner's alone from its first moment; Foundation would set that only afterwards.
        let descriptor = open(new.path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        guard descriptor >= 0 else { throw failure(new) }
        do {
            let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
            try handle.write(contentsOf: Data(key.utf8))
            try handle.close()
            // A rename is whole or not at all.
            guard rename(new.path, file(provider).path) == 0 else { throw failure(new) }
        } catch {
            unlink(new.path)
            throw error
        }
    }

    public func remove(provider: String) throws {
        guard unlink(file(provider).path) == 0 || errno == ENOENT else { throw failure(file(provider)) }
    }

    private func failure(_ file: URL) -> NearsideError {
        .Storage(message: "could not keep a key in `\(file.path)`: \(String(cString: strerror(errno)))")
    }

    /// A name that is one on every file system, whatever the provider is called: `..`, `a/b`, or `A` beside `a`.
    private func file(_ provider: String) -> URL {
        let hex = provider.utf8.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        return directory.appendingPathComponent(hex + ".key")
    }
}

#if canImport(Security)
    import Security

    /// Keeps credentials in the keychain of this device: readable once it was unlocked since its start, in no backup,
    /// and on no other device. On a Mac the app has to be signed for it.
    public struct KeychainKeys: Keys {
        private let service: String

        /// The name under which the keychain lists them.
        public init(service: String = "org.nearside.keys") {
            self.service = service
        }

        public func load(provider: String) throws -> String? {
            var query = item(provider)
            query[kSecReturnData] = true
            var found: CFTypeRef?
            let status = SecItemCopyMatching(query as CFDictionary, &found)
            if status == errSecItemNotFound { return nil }
            try check(status)
            return (found as? Data).map { String(decoding: $0, as: UTF8.self) }
        }

        public func save(provider: String, key: String) throws {
            let value: [CFString: Any] = [
                kSecValueData: Data(key.utf8),
                kSecAttrAccessible: kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly,
            ]
            let status = SecItemUpdate(item(provider) as CFDictionary, value as CFDictionary)
            guard status == errSecItemNotFound else { return try check(status) }
            let new = item(provider).merging(value) { $1 }
            try check(SecItemAdd(new as CFDictionary, nil))
        }

        public func remove(provider: String) throws {
            let status = SecItemDelete(item(provider) as CFDictionary)
            if status != errSecItemNotFound { try check(status) }
        }

        private func item(_ provider: String) -> [CFString: Any] {
            [
                kSecClass: kSecClassGenericPassword, kSecAttrService: service, kSecAttrAccount: provider,
                // On a Mac too, the keychain that iOS has.
                kSecUseDataProtectionKeychain: true,
            ]
        }

        private func check(_ status: OSStatus) throws {
            guard status != errSecSuccess else { return }
            let text = SecCopyErrorMessageString(status, nil) as String? ?? "status \(status)"
            throw NearsideError.Storage(message: "the keychain refuses: \(text)")
        }
    }
#endif
