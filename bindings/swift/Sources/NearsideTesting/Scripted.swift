// A `Nearside` that plays a script instead of running a model: an app's own tests see every kind of answer, at once and
// always alike, with no model and no network.
//
// The script is played by the library itself, where it was built with its feature `testing`. The XCFramework that an app
// ships is built without; `NEARSIDE_TESTING=1` in the environment makes Package.swift take the one with it. Recorded
// providers (RecordedProvider.swift) work with both.

import Foundation
@_exported import NearsideKit

#if NEARSIDE_TESTING
    extension Nearside {
        /// Answers every request with these steps, in this order:
        ///
        ///     let nearside = try Nearside.scripted {
        ///         ScriptStep.reasoning("The moon pulls, so")
        ///         "Because of the moon."
        ///     }
        ///
        /// Words are sent one by one, `pause` before each. Everything else is real: routes, receipts, conversations,
        /// stored in `directory` or a temporary one.
        public static func scripted(
            directory: URL? = nil, pause: Duration = .zero, @ScriptBuilder _ steps: () -> [ScriptStep]
        ) throws -> Nearside {
            try scripted(steps(), directory: directory, pause: pause)
        }

        /// The same with steps that are already in an array.
        public static func scripted(
            _ steps: [ScriptStep], directory: URL? = nil, pause: Duration = .zero
        ) throws -> Nearside {
            let directory = directory ?? scratch.appending(component: UUID().uuidString)
            let (seconds, attoseconds) = pause.components
            return try scripted(
                config: Config(directory: directory.path),
                script: Script(
                    steps: steps, chunkDelayMs: UInt32(clamping: seconds * 1000 + attoseconds / 1_000_000_000_000_000)))
        }
    }

    private let scratch: URL = {
        atexit { try? FileManager.default.removeItem(at: scratch) }
        return .temporaryDirectory.appending(component: "nearside-\(UUID().uuidString)")
    }()

    extension ScriptStep {
        /// The model says this.
        public static func text(_ text: String) -> ScriptStep { .text(text: text) }

        /// The model thinks this.
        public static func reasoning(_ text: String) -> ScriptStep { .reasoning(text: text) }

        /// The model calls a tool, with arguments as JSON.
        public static func toolCall(_ name: String, arguments: String, id: String = "call-1") -> ScriptStep {
            .toolCall(id: id, name: name, arguments: arguments)
        }

        /// The answer ends with this error.
        public static func fail(_ kind: ErrorKind, _ detail: String = "a failure that a test wanted") -> ScriptStep {
            .fail(kind: kind, detail: detail)
        }
    }

    /// Puts a script together; a string is text.
    @resultBuilder
    public enum ScriptBuilder {
        public static func buildExpression(_ step: ScriptStep) -> [ScriptStep] { [step] }
        public static func buildExpression(_ text: String) -> [ScriptStep] { [.text(text: text)] }
        public static func buildExpression(_ steps: [ScriptStep]) -> [ScriptStep] { steps }
        public static func buildBlock(_ parts: [ScriptStep]...) -> [ScriptStep] { parts.flatMap { $0 } }
        public static func buildOptional(_ part: [ScriptStep]?) -> [ScriptStep] { part ?? [] }
        public static func buildEither(first part: [ScriptStep]) -> [ScriptStep] { part }
        public static func buildEither(second part: [ScriptStep]) -> [ScriptStep] { part }
        public static func buildArray(_ parts: [[ScriptStep]]) -> [ScriptStep] { parts.flatMap { $0 } }
    }
#else
    extension Nearside {
        @available(
            *, unavailable,
            message: """
                this build of the library plays no scripts; set NEARSIDE_TESTING=1 in the environment of Xcode or \
                xcodebuild, so that the package takes the XCFramework for tests
                """
        )
        public static func scripted(
            directory: URL? = nil, pause: Duration = .zero, _ steps: () -> Void
        ) throws -> Nearside {
            fatalError("unavailable")
        }
    }
#endif
