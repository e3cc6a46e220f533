import Foundation
import NearsideKit
import Testing

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

extension Scenarios {
    /// Credentials: set, stored, obtained by sign-in, and never printed.
    @Suite struct KeyTests {
        @Test func aKeyIsInNoException() async throws {
            let canary = "sk-canary-1f00d"
            let provider = try Provider("openrouter")
            let nearside = try await library(provider)
            try nearside.setKey(provider: "openrouter", key: canary)
            let failures = [
                await failure { _ = try await nearside.chat(tides(.onlyInCloud)).all() },
                await failure {
                    let signIn = try await nearside.signIn(provider: "openrouter")
                    _ = try await nearside.finishSignIn(provider: "openrouter", signIn: signIn, code: canary)
                },
                await failure { try nearside.setHubToken(token: canary + "\n") },
                await failure { _ = try await nearside.signIn(provider: "openrouter", callback: "ftp://" + canary) },
            ]

            #expect(failures[0].kind == .unauthorized)
            for failure in failures { #expect(!failure.text.contains("canary"), "\(failure.text)") }
            let status = try #require(try await nearside.providers().first)
            #expect(status.hasKey)
            #expect(!"\(status) \(try nearside.policy())".contains("canary"))
        }

        @Test func keysAreKeptForTheNextStart() async throws {
            let directory = URL(fileURLWithPath: freshDirectory())
            let keys = FileCredentialStore(directory: directory)
            try expectPersistence { FileCredentialStore(directory: directory) }
            let files = try FileManager.default.contentsOfDirectory(atPath: directory.path)
            #expect(files.count == 5, "\(files)")
            for file in files {
                let path = directory.appendingPathComponent(file).path
                let permissions = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
                #expect((permissions as? NSNumber)?.intValue == 0o600)
            }

            let provider = try Provider("groq")
            let config = Config(directory: freshDirectory())
            let first = try await library(provider, config: config)
            try await first.saveCredential(provider: "groq", key: Provider.key, in: keys)
            let nearside = try Nearside(config: config)
            #expect(try await nearside.providers().map(\.hasKey) == [false])
            try await nearside.loadCredentials(keys)
            #expect(try await nearside.providers().map(\.hasKey) == [true])
            #expect(try await nearside.chat(tides()).all().targets == [provider.target])

            try keys.remove(provider: "groq")
            try keys.remove(provider: "groq")
            #expect(try keys.load(provider: "groq", origin: origin) == nil)
        }

        @Test func aKeyDoesNotFollowANameToAnotherServer() async throws {
            let directory = URL(fileURLWithPath: freshDirectory())
            let keys = FileCredentialStore(directory: directory)
            let (old, new) = (try Provider("groq"), try Provider("groq"))
            let config = Config(directory: freshDirectory())
            var nearside: Nearside? = try await library(old, config: config)
            try await nearside?.saveCredential(provider: "groq", key: Provider.key, in: keys)
            // The same server: the key stays.
            var settings = old.settings
            settings.model = "m"
            try await nearside?.addProvider(settings: settings, credentials: keys)
            let origin = try #require(try await nearside?.providers().first?.origin)
            #expect(try keys.load(provider: "groq", origin: origin) == Provider.key)

            // Another one, by an app that does not delete the key: the next start does not load it.
            try await nearside?.addProvider(settings: new.settings)
            nearside = nil
            let next = try Nearside(config: config)
            try await next.loadCredentials(keys)
            #expect(try await next.providers().map(\.hasKey) == [false])
            #expect(try keys.load(provider: "groq", origin: origin) == nil)

            // By one that deletes it.
            try await next.saveCredential(provider: "groq", key: Provider.key, in: keys)
            try await next.addProvider(settings: old.settings, credentials: keys)
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path).isEmpty)
        }

        @Test func aKeyThatWasStoredWithoutAServerIsDeleted() async throws {
            let directory = URL(fileURLWithPath: freshDirectory())
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
            // As an earlier release did: the provider may have moved since.
            try Data(Provider.key.utf8).write(to: directory.appendingPathComponent("67726f71.key"))
            let keys = FileCredentialStore(directory: directory)
            let nearside = try await library(try Provider("groq"))
            try nearside.setKey(provider: "groq", key: "")
            try await nearside.loadCredentials(keys)
            #expect(try await nearside.providers().map(\.hasKey) == [false])
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path).isEmpty)
        }

        @Test func aKeyThatCannotBeReadDoesNotHideTheOthers() async throws {
            let directory = URL(fileURLWithPath: freshDirectory())
            let keys = FileCredentialStore(directory: directory)
            let nearside = try await library(try Provider("groq"), try Provider("openrouter"))
            let names = try await nearside.providers().map(\.settings.name)
            for name in names {
                try await nearside.saveCredential(provider: name, key: Provider.key, in: keys)
                try nearside.setKey(provider: name, key: "")
            }
            // A directory in place of the first one's file.
            let name = names[0].utf8.map { String($0, radix: 16) }.joined() + ".key"
            let file = directory.appendingPathComponent(name)
            try FileManager.default.removeItem(at: file)
            try FileManager.default.createDirectory(at: file, withIntermediateDirectories: false)
            await #expect(throws: (any Error).self) { try await nearside.loadCredentials(keys) }
            #expect(try await nearside.providers().map(\.hasKey) == [false, true])
        }

        @Test func signingInBringsAKey() async throws {
            let provider = try Provider("openrouter")
            let nearside = try await library(provider)
            try nearside.setKey(provider: "openrouter", key: "")
            let signIn = try await nearside.signIn(provider: "openrouter", callback: provider.url + "/callback")
            let page = try #require(URL(string: try signIn.url()))
            // Follows the redirects as a browser would.
            let (_, response) = try await URLSession.shared.data(from: page)
            let query = try #require(response.url?.query)
            let code = query.components(separatedBy: "code=")[1]

            let key = try await nearside.finishSignIn(provider: "openrouter", signIn: signIn, code: code)
            #expect(key == Provider.key)
            #expect(try await nearside.chat(tides()).all().targets == [provider.target])
            let again = await failure {
                _ = try await nearside.finishSignIn(provider: "openrouter", signIn: signIn, code: code)
            }
            #expect(again.kind == .unauthorized)
        }

        /// Checks a store. Opens a new object for each operation, as after a restart.
        private func expectPersistence(_ open: () -> any CredentialStore) throws {
            #expect(try open().load(provider: "groq", origin: origin) == nil)
            let others = ["Groq", "..", "a/b", "größe 🌊"]
            for name in ["groq"] + others { try open().save(provider: name, origin: origin, key: "key of \(name)") }
            try open().save(provider: "groq", origin: origin, key: Provider.key)
            #expect(try open().load(provider: "groq", origin: origin) == Provider.key)
            for name in others { #expect(try open().load(provider: name, origin: origin) == "key of \(name)") }
        }

        private let origin = "https://llm.example.org"
    }
}
