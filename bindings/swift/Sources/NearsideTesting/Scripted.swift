// A `Nearside` that plays a script instead of running a model: an app's tests get every kind of answer, immediately and
// deterministically, without a model or a network.
//
// Only the XCFramework for tests can play scripts; with `NEARSIDE_TESTING=1` in the environment Package.swift uses it.
// RecordedProvider works with both.

import Foundation
@_exported import NearsideKit

#if NEARSIDE_TESTING
    extension Nearside {
        /// Opens a library that answers every request with these steps, in this order:
        ///
        ///     let nearside = try Nearside.scripted {
        ///         ReplyStep.reasoning("The moon pulls.")
        ///         "Because of the moon."
        ///     }
        ///
        /// Text is sent word by word, with a `pause` before each. Everything else is real: routes, receipts and
        /// conversations, stored in `directory` or a temporary one.
        public static func scripted(
            directory: URL? = nil, pause: Duration = .zero, @ScriptBuilder _ steps: () -> [ReplyStep]
        ) throws -> Nearside {
            try scripted(steps(), directory: directory, pause: pause)
        }

        /// Opens a library that answers every request with an array of steps.
        public static func scripted(
            _ steps: [ReplyStep], directory: URL? = nil, pause: Duration = .zero
        ) throws -> Nearside {
            let directory = directory ?? scratch.appending(component: UUID().uuidString)
            let (seconds, attoseconds) = pause.components
            return try scripted(
                config: Config(directory: directory.path),
                script: ScriptedReply(
                    steps: steps, chunkDelayMs: UInt32(clamping: seconds * 1000 + attoseconds / 1_000_000_000_000_000)))
        }
    }

    private let scratch: URL = {
        atexit { try? FileManager.default.removeItem(at: scratch) }
        return .temporaryDirectory.appending(component: "nearside-\(UUID().uuidString)")
    }()

    extension ReplyStep {
        /// Emits text.
        public static func text(_ text: String) -> ReplyStep { .text(text: text) }

        /// Emits reasoning.
        public static func reasoning(_ text: String) -> ReplyStep { .reasoning(text: text) }

        /// Emits a tool call, with arguments as JSON.
        public static func toolCall(_ name: String, arguments: String, id: String = "call-1") -> ReplyStep {
            .toolCall(id: id, name: name, arguments: arguments)
        }

        /// Ends the answer with an error of this kind, with the kind's usual reason.
        public static func fail(_ kind: ErrorKind, _ detail: String = "a failure requested by a test") -> ReplyStep {
            .fail(kind: kind, detail: detail)
        }

        /// Ends the answer with an error of this reason, of the reason's usual kind.
        public static func fail(
            because reason: ErrorReason, _ detail: String = "a failure requested by a test",
            retryAfterMs: UInt64? = nil, helpUrl: String? = nil
        ) -> ReplyStep {
            .failBecause(reason: reason, detail: detail, retryAfterMs: retryAfterMs, helpUrl: helpUrl)
        }
    }

    /// Builds a script; a string becomes a text step.
    @resultBuilder
    public enum ScriptBuilder {
        public static func buildExpression(_ step: ReplyStep) -> [ReplyStep] { [step] }
        public static func buildExpression(_ text: String) -> [ReplyStep] { [.text(text: text)] }
        public static func buildExpression(_ steps: [ReplyStep]) -> [ReplyStep] { steps }
        public static func buildBlock(_ parts: [ReplyStep]...) -> [ReplyStep] { parts.flatMap { $0 } }
        public static func buildOptional(_ part: [ReplyStep]?) -> [ReplyStep] { part ?? [] }
        public static func buildEither(first part: [ReplyStep]) -> [ReplyStep] { part }
        public static func buildEither(second part: [ReplyStep]) -> [ReplyStep] { part }
        public static func buildArray(_ parts: [[ReplyStep]]) -> [ReplyStep] { parts.flatMap { $0 } }
    }
#else
    extension Nearside {
        @available(
            *, unavailable,
            message: """
                this build of the library cannot play scripts; set NEARSIDE_TESTING=1 in the environment of Xcode or \
                xcodebuild, so that the package uses the XCFramework for tests
                """
        )
        public static func scripted(
            directory: URL? = nil, pause: Duration = .zero, _ steps: () -> Void
        ) throws -> Nearside {
            fatalError("unavailable")
        }
    }
#endif
