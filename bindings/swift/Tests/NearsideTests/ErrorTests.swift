import Foundation
@_spi(Testing) import NearsideKit
import Testing

extension Scenarios {
    /// Errors: one case for each kind, with the same fields.
    @Suite struct ErrorTests {
        @Test func eachErrorVariantCanBeToldApart() async throws {
            for kind in ErrorKind.allCases {
                let text = "model `ünïcode` says \(kind)"
                let error = try await error(of: .fail(kind: kind, detail: text))
                #expect(error.kind == kind)
                #expect(error.localizedDescription == text)
                #expect("\(error)" == text)
                #expect(error.detail == text)
                #expect(error.retryAfterMs == nil && error.helpUrl == nil)
            }
            #expect(ErrorKind.allCases.count == 13)
        }

        @Test func everyReasonArrivesWithItsFields() async throws {
            let page = "https://example.org/terms"
            for reason in ErrorReason.allCases {
                let text = "because of \(reason)"
                let error = try await error(
                    of: .failBecause(reason: reason, detail: text, retryAfterMs: 1_500, helpUrl: page))
                #expect(error.reason == reason)
                #expect(error.detail == text)
                #expect(error.retryAfterMs == 1_500 && error.helpUrl == page)
                #expect(error.recoverySuggestion?.isEmpty == false)
                let same = NearsideError(
                    kind: error.kind, reason: reason, detail: text, retryAfterMs: 1_500, helpUrl: page)
                #expect(error == same)
            }
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

        @Test func realFailuresHaveTheReasonThatTheyShould() async throws {
            let directory = freshDirectory()
            let nearside = try Nearside(config: Config(directory: directory))
            let junk = "\(directory)/junk.gguf"
            try Data("this is no model".utf8).write(to: URL(fileURLWithPath: junk))
            let reasons = [
                await failure {
                    _ = try await nearside.chat(ChatRequest(messages: [.user("Hello!")], model: "missing")).all()
                },
                await failure { _ = try await nearside.chat(ChatRequest(messages: [])).all() },
                await failure { _ = try await nearside.import(path: junk) },
                await failure { _ = try await nearside.conversations().open(id: 77) },
            ].map(\.reason)
            #expect(reasons == [.modelNotInstalled, .invalidParameter, .damaged, .notFound])
        }

        @Test func anErrorComesAfterTheTextBeforeIt() async throws {
            let nearside = try scripted(
                .text(text: "so far so"), .fail(kind: .network, detail: "the line is gone"))
            let (chunks, failure) = await nearside.chat(hello).untilFailure()

            #expect(chunks.text == "so far so")
            #expect((failure as? NearsideError)?.kind == .network)
        }

        @Test func aBugIsAnErrorAndNotTheEndOfTheApp() async throws {
            do {
                try panicOnPurpose(text: "on purpose")
                Issue.record("no error at all")
            } catch {
                let known = try #require(error as? NearsideError)
                #expect(known.detail.contains("on purpose"))
                #expect(known.kind == .internal && known.reason == .bug)
            }
            #expect(try await scripted().models() == [])
        }

        @Test func aHostThatFailsIsAnErrorWithItsOwnText() async throws {
            let nearside = try await library(host: BrokenHost())
            for failed in [
                await failure { _ = try await nearside.chat(hello).all() },
                await failure { _ = try await nearside.route(hello) },
                await failure { _ = try nearside.device() },
            ] {
                #expect(failed.kind == .internal)
                #expect(failed.text.contains("no battery service"), "\(failed.text)")
            }
        }

        @Test func aStoredFailureKeepsItsReason() async throws {
            let nearside = try scripted(
                .text(text: "so far"),
                .failBecause(reason: .noCredit, detail: "no credit", retryAfterMs: nil, helpUrl: nil))
            let chats = try nearside.conversations()
            let id = try await chats.create().id
            _ = await chats.send(id, hello).untilFailure()
            let state = try await chats.open(id: id).messages.last?.state
            #expect(state == .failed(error: "no credit", reason: .noCredit))
        }

        private let hello = ChatRequest(messages: [.user("Hello!")])

        /// Returns the error with which an answer of this one step ends.
        private func error(of step: ReplyStep) async throws -> NearsideError {
            let (_, failure) = try await scripted(step).chat(hello).untilFailure()
            return try #require(failure as? NearsideError)
        }

        private func expect(
            _ kind: ErrorKind, sourceLocation: SourceLocation = #_sourceLocation, from call: () async throws -> Void
        ) async {
            do {
                try await call()
                Issue.record("no error at all", sourceLocation: sourceLocation)
            } catch {
                #expect((error as? NearsideError)?.kind == kind, "\(error)", sourceLocation: sourceLocation)
            }
        }
    }
}

/// A device host that fails.
private final class BrokenHost: DeviceHost {
    func facts() throws -> DeviceFacts {
        throw HostError.Failed(detail: "no battery service")
    }
}
