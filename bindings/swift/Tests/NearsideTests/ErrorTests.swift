import Foundation
import NearsideKit
import Testing

extension Scenarios {
    /// Errors and their variants.
    @Suite struct ErrorTests {
        @Test func eachErrorVariantCanBeToldApart() async throws {
            let kinds: [ErrorKind] = [
                .notInstalled, .tooLarge, .storage, .network, .provider, .unauthorized, .rateLimited, .corrupt,
                .unsupported, .invalidRequest, .blocked, .busy, .internal,
            ]
            for kind in kinds {
                let text = "model `ünïcode` says \(kind)"
                let nearside = try scripted(.fail(kind: kind, detail: text))
                let (_, failure) = await nearside.chat(ChatRequest(messages: [.user("Hello!")])).untilFailure()

                let error = try #require(failure as? NearsideError)
                #expect(kindOf(error) == kind)
                #expect(error.localizedDescription == text)
                #expect("\(error)" == text)
            }
            #expect(kinds.count == 13)
        }

        @Test func realFailuresHaveTheVariantThatTheyShould() async throws {
            let directory = freshDirectory()
            let nearside = try Nearside(config: Config(directory: directory))
            let junk = "\(directory)/junk.gguf"
            try Data("this is no model".utf8).write(to: URL(fileURLWithPath: junk))
            await expect(.notInstalled) {
                _ = try await nearside.chat(ChatRequest(messages: [.user("Hello!")], model: "missing")).all()
            }
            await expect(.invalidRequest) { _ = try await nearside.chat(ChatRequest(messages: [])).all() }
            await expect(.corrupt) { _ = try await nearside.import(path: junk) }
            await expect(.notInstalled) { _ = try await nearside.remove(model: ModelRef.parse("missing")) }
            await expect(.storage) { _ = try Nearside(config: Config(directory: "\(junk)/below-a-file")) }
        }

        @Test func anErrorComesAfterTheTextBeforeIt() async throws {
            let nearside = try scripted(
                .text(text: "so far so"), .fail(kind: .network, detail: "the line is gone"))
            let (chunks, failure) = await nearside.chat(ChatRequest(messages: [.user("Hello!")])).untilFailure()

            #expect(chunks.text == "so far so")
            #expect((failure as? NearsideError).map(kindOf) == .network)
        }

        @Test func aBugIsAnErrorAndNotTheEndOfTheApp() async throws {
            do {
                try panicOnPurpose(text: "on purpose")
                Issue.record("no error at all")
            } catch {
                #expect("\(error)".contains("on purpose"))
            }
            #expect(try await scripted().models() == [])
        }

        private func expect(
            _ kind: ErrorKind, sourceLocation: SourceLocation = #_sourceLocation, from call: () async throws -> Void
        ) async {
            do {
                try await call()
                Issue.record("no error at all", sourceLocation: sourceLocation)
            } catch {
                let found = (error as? NearsideError).map(kindOf)
                #expect(found == kind, "\(error)", sourceLocation: sourceLocation)
            }
        }
    }
}

/// Returns the kind of an error. The exhaustive switch does not compile if a case is missing.
func kindOf(_ error: NearsideError) -> ErrorKind {
    switch error {
    case .NotInstalled: .notInstalled
    case .TooLarge: .tooLarge
    case .Storage: .storage
    case .Network: .network
    case .Provider: .provider
    case .Unauthorized: .unauthorized
    case .RateLimited: .rateLimited
    case .Corrupt: .corrupt
    case .Unsupported: .unsupported
    case .InvalidRequest: .invalidRequest
    case .Blocked: .blocked
    case .Busy: .busy
    case .Internal: .internal
    }
}
