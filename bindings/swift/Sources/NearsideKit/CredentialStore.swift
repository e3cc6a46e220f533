// Persistent storage for provider credentials. The library stores none: the app passes them in, and the library holds
// them in memory and never prints them.
//
// On Apple's systems they are stored in the keychain, elsewhere in files that only the current user can read.

import Foundation

/// Storage for one credential per provider.
public protocol CredentialStore: Sendable {
    /// Returns the stored credential of the provider, or `nil`.
    func load(provider: String) throws -> String?

    /// Stores a credential and replaces the previous one.
    func save(provider: String, key: String) throws

    /// Deletes the stored credential; no error if there is none.
    func remove(provider: String) throws
}

extension Nearside {
    /// Loads the stored credential of every configured provider into the library.
    public func loadCredentials(_ keys: any CredentialStore) async throws {
        for provider in try await providers().map(\.settings.name) {
            if let key = try keys.load(provider: provider) { try setKey(provider: provider, key: key) }
        }
    }
}

/// A store in files that only the current user can read. Apple's systems have `KeychainCredentialStore`.
public struct FileCredentialStore: CredentialStore {
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
        // Created with mode 0600; Foundation would set the permissions only after creation.
        let descriptor = open(new.path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        guard descriptor >= 0 else { throw storageError(new) }
        do {
            let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
            try handle.write(contentsOf: Data(key.utf8))
            try handle.close()
            // A rename is atomic.
            guard rename(new.path, file(provider).path) == 0 else { throw storageError(new) }
        } catch {
            unlink(new.path)
            throw error
        }
    }

    public func remove(provider: String) throws {
        guard unlink(file(provider).path) == 0 || errno == ENOENT else { throw storageError(file(provider)) }
    }

    private func storageError(_ file: URL) -> NearsideError {
        let code = errno
        let reason: ErrorReason =
            switch code {
            case ENOSPC, EDQUOT: .diskFull
            case EACCES, EPERM, EROFS: .accessDenied
            default: .storageFailed
            }
        let cause = String(cString: strerror(code))
        return NearsideError(
            kind: .storage, reason: reason, detail: "could not store a key in `\(file.path)`: \(cause)")
    }

    /// Returns a path that is valid on every file system for any provider name: `..`, `a/b`, or `A` beside `a`.
    private func file(_ provider: String) -> URL {
        let hex = provider.utf8.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        return directory.appendingPathComponent(hex + ".key")
    }
}

#if canImport(Security)
    import Security

    /// A store in this device's keychain: readable after the first unlock since boot, excluded from backups,
    /// not synced to other devices. On a Mac the app has to be signed for it.
    public struct KeychainCredentialStore: CredentialStore {
        private let service: String

        /// Creates a store whose keychain items have this service name.
        public init(service: String = "org.nearside.keys") {
            self.service = service
        }

        public func load(provider: String) throws -> String? {
            var query = item(provider)
            query[kSecReturnData] = true
            var found: CFTypeRef?
            let status = SecItemCopyMatching(query as CFDictionary, &found)
            if status == errSecItemNotFound { return nil }
            try throwUnlessSuccess(status)
            return (found as? Data).map { String(decoding: $0, as: UTF8.self) }
        }

        public func save(provider: String, key: String) throws {
            let value: [CFString: Any] = [
                kSecValueData: Data(key.utf8),
                kSecAttrAccessible: kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly,
            ]
            let status = SecItemUpdate(item(provider) as CFDictionary, value as CFDictionary)
            guard status == errSecItemNotFound else { return try throwUnlessSuccess(status) }
            let new = item(provider).merging(value) { $1 }
            try throwUnlessSuccess(SecItemAdd(new as CFDictionary, nil))
        }

        public func remove(provider: String) throws {
            let status = SecItemDelete(item(provider) as CFDictionary)
            if status != errSecItemNotFound { try throwUnlessSuccess(status) }
        }

        private func item(_ provider: String) -> [CFString: Any] {
            [
                kSecClass: kSecClassGenericPassword, kSecAttrService: service, kSecAttrAccount: provider,
                // Use the iOS-style keychain on a Mac too.
                kSecUseDataProtectionKeychain: true,
            ]
        }

        private func throwUnlessSuccess(_ status: OSStatus) throws {
            guard status != errSecSuccess else { return }
            let text = SecCopyErrorMessageString(status, nil) as String? ?? "status \(status)"
            throw NearsideError(kind: .storage, reason: .storageFailed, detail: "the keychain failed: \(text)")
        }
    }
#endif
