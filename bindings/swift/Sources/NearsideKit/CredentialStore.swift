// Persistent storage for provider credentials. The library stores none: the app passes them in, and the library holds
// them in memory and never prints them.
//
// On Apple's systems they are stored in the keychain, elsewhere in files that only the current user can read.

import Foundation

/// Storage for one credential per provider, each with the server that it was set for.
///
/// A provider's name may get another address, and a key must not follow it there. Therefore a credential is stored
/// with the origin of the address, `ProviderStatus.origin`, and given back for that origin only.
public protocol CredentialStore: Sendable {
    /// Returns the credential that is stored for the provider at this origin. `nil` if there is none, also if the
    /// stored one is of another origin or has none; such a one is deleted.
    func load(provider: String, origin: String) throws -> String?

    /// Stores a credential and replaces the previous one, whatever its origin.
    func save(provider: String, origin: String, key: String) throws

    /// Deletes the stored credential, whatever its origin; no error if there is none.
    func remove(provider: String) throws
}

extension Nearside {
    /// Loads the stored credential of every configured provider into the library. If one cannot be read, the others are
    /// loaded all the same; then the first failure is thrown.
    ///
    /// A credential that an earlier release stored without an origin is deleted, and the user enters it again: the
    /// provider may have got another address since.
    public func loadCredentials(_ keys: any CredentialStore) async throws {
        var failure: (any Error)?
        for provider in try await providers() {
            let name = provider.settings.name
            do {
                guard let key = try keys.load(provider: name, origin: provider.origin) else { continue }
                try setKey(provider: name, key: key)
            } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
    }

    /// Sets the credential of a configured provider, and stores it for the server at its present address. An empty
    /// `key` removes it.
    public func saveCredential(provider: String, key: String, in keys: any CredentialStore) async throws {
        let origin = try await origin(of: provider)
        try setKey(provider: provider, key: key)
        guard let origin, !key.isEmpty else { return try keys.remove(provider: provider) }
        try keys.save(provider: provider, origin: origin, key: key)
    }

    /// Adds a provider, or replaces the one of this name. Deletes its stored credential if that was for another server.
    public func addProvider(settings: ProviderSettings, credentials keys: any CredentialStore) async throws {
        let before = try await origin(of: settings.name)
        try await addProvider(settings: settings)
        if try await origin(of: settings.name) != before { try keys.remove(provider: settings.name) }
    }

    private func origin(of provider: String) async throws -> String? {
        try await providers().first { $0.settings.name == provider }?.origin
    }
}

/// A stored credential: its origin, a line feed, and the key.
private struct CredentialEntry {
    let text: String

    init(origin: String, key: String) { text = "\(origin)\n\(key)" }

    init(text: String) { self.text = text }

    /// Returns the key if it belongs to this origin.
    func key(for origin: String) -> String? {
        text.hasPrefix(origin + "\n") ? String(text.dropFirst(origin.count + 1)) : nil
    }
}

/// A store in files that only the current user can read. Apple's systems have `KeychainCredentialStore`.
public struct FileCredentialStore: CredentialStore {
    private let directory: URL

    public init(directory: URL) {
        self.directory = directory
    }

    public func load(provider: String, origin: String) throws -> String? {
        guard FileManager.default.fileExists(atPath: file(provider).path) else { return nil }
        let stored = CredentialEntry(text: String(decoding: try Data(contentsOf: file(provider)), as: UTF8.self))
        if let key = stored.key(for: origin) { return key }
        try remove(provider: provider)
        return nil
    }

    public func save(provider: String, origin: String, key: String) throws {
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let new = directory.appendingPathComponent(UUID().uuidString)
        // Created with mode 0600; Foundation would set the permissions only after creation.
        let descriptor = open(new.path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        guard descriptor >= 0 else { throw storageError(new) }
        do {
            let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
            try handle.write(contentsOf: Data(CredentialEntry(origin: origin, key: key).text.utf8))
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
    /// not synced to other devices. On a Mac the app has to be signed for it, and a test bundle that runs without an app has
    /// no keychain at all: use `FileCredentialStore` there.
    public struct KeychainCredentialStore: CredentialStore {
        private let service: String

        /// Creates a store whose keychain items have this service name.
        public init(service: String = "org.nearside.keys") {
            self.service = service
        }

        public func load(provider: String, origin: String) throws -> String? {
            var query = item(provider)
            query[kSecReturnData] = true
            var found: CFTypeRef?
            let status = SecItemCopyMatching(query as CFDictionary, &found)
            if status == errSecItemNotFound { return nil }
            try throwUnlessSuccess(status)
            guard let data = found as? Data else { return nil }
            let stored = CredentialEntry(text: String(decoding: data, as: UTF8.self))
            if let key = stored.key(for: origin) { return key }
            try remove(provider: provider)
            return nil
        }

        public func save(provider: String, origin: String, key: String) throws {
            let value: [CFString: Any] = [
                kSecValueData: Data(CredentialEntry(origin: origin, key: key).text.utf8),
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
            let text =
                status == errSecMissingEntitlement
                ? "this program has no right to use it; store keys in files instead"
                : SecCopyErrorMessageString(status, nil) as String? ?? "status \(status)"
            throw NearsideError(kind: .storage, reason: .storageFailed, detail: "the keychain failed: \(text)")
        }
    }
#endif
