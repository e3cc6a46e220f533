// A `Nearside` that plays a script instead of running a model: an app's tests get every kind of answer, immediately and
// deterministically, without a model or a network.
//
// Every build of the library can play scripts. NearsideKit hides that from apps behind `@_spi(Testing)`; this module is
// the way to it, and only test targets link it.

import Foundation
@_exported @_spi(Testing) import NearsideKit

extension Nearside {
    /// Opens a library that answers every request with these steps, in this order:
    ///
    ///     let nearside = try Nearside.scripted {
    ///         ReplyStep.reasoning("The moon pulls.")
    ///         "Because of the moon."
    ///     }
    ///
    /// Text is sent word by word, with a `pause` before each. Everything else is real: routes, receipts and
    /// conversations, stored in `directory` or a temporary one, with the facts of `host` and dated by `clock`.
    public static func scripted(
        directory: URL? = nil, pause: Duration = .zero, host: (any DeviceHost)? = nil, clock: FakeClock? = nil,
        @ScriptBuilder _ steps: () -> [ReplyStep]
    ) throws -> Nearside {
        try scripted(steps(), directory: directory, pause: pause, host: host, clock: clock)
    }

    /// Opens a library that answers every request with an array of steps.
    public static func scripted(
        _ steps: [ReplyStep], directory: URL? = nil, pause: Duration = .zero, host: (any DeviceHost)? = nil,
        clock: FakeClock? = nil
    ) throws -> Nearside {
        try forTests(
            config: Config(directory: (directory ?? freshDirectory()).path), script: script(steps, pause),
            host: host, clock: clock?.clock, inMemory: false)
    }

    /// Opens a library for `#Preview`: it answers with these steps, opens no database, and forgets everything at its end.
    public static func preview(@ScriptBuilder _ steps: () -> [ReplyStep]) throws -> Nearside {
        try forTests(
            config: Config(directory: freshDirectory().path), script: script(steps(), .zero), host: nil, clock: nil,
            inMemory: true)
    }

    private static func script(_ steps: [ReplyStep], _ pause: Duration) -> ScriptedReply {
        ScriptedReply(steps: steps.map(\.step), chunkDelayMs: UInt32(clamping: pause.milliseconds))
    }
}

private func freshDirectory() -> URL {
    scratch.appending(component: UUID().uuidString)
}

private let scratch: URL = {
    atexit { try? FileManager.default.removeItem(at: scratch) }
    return .temporaryDirectory.appending(component: "nearside-\(UUID().uuidString)")
}()

/// A step of a script.
public struct ReplyStep: Sendable, Hashable {
    fileprivate let step: NearsideKit.ReplyStep

    /// Sends nothing until the request is cancelled.
    public static let stall = ReplyStep(step: .stall)

    /// Emits text.
    public static func text(_ text: String) -> ReplyStep { ReplyStep(step: .text(text: text)) }

    /// Emits reasoning.
    public static func reasoning(_ text: String) -> ReplyStep { ReplyStep(step: .reasoning(text: text)) }

    /// Emits a tool call, with arguments as JSON.
    public static func toolCall(_ name: String, arguments: String, id: String = "call-1") -> ReplyStep {
        ReplyStep(step: .toolCall(id: id, name: name, arguments: arguments))
    }

    /// Ends the answer with an error of this kind, with the kind's usual reason.
    public static func fail(_ kind: ErrorKind, _ detail: String = "a failure requested by a test") -> ReplyStep {
        ReplyStep(step: .fail(kind: kind, detail: detail))
    }

    /// Ends the answer with an error of this reason, of the reason's usual kind.
    public static func fail(
        because reason: ErrorReason, _ detail: String = "a failure requested by a test",
        retryAfterMs: UInt64? = nil, helpUrl: String? = nil
    ) -> ReplyStep {
        ReplyStep(step: .failBecause(reason: reason, detail: detail, retryAfterMs: retryAfterMs, helpUrl: helpUrl))
    }
}

/// Builds a script; a string becomes a text step.
@resultBuilder
public enum ScriptBuilder {
    public static func buildExpression(_ step: ReplyStep) -> [ReplyStep] { [step] }
    public static func buildExpression(_ text: String) -> [ReplyStep] { [.text(text)] }
    public static func buildExpression(_ steps: [ReplyStep]) -> [ReplyStep] { steps }
    public static func buildBlock(_ parts: [ReplyStep]...) -> [ReplyStep] { parts.flatMap { $0 } }
    public static func buildOptional(_ part: [ReplyStep]?) -> [ReplyStep] { part ?? [] }
    public static func buildEither(first part: [ReplyStep]) -> [ReplyStep] { part }
    public static func buildEither(second part: [ReplyStep]) -> [ReplyStep] { part }
    public static func buildArray(_ parts: [[ReplyStep]]) -> [ReplyStep] { parts.flatMap { $0 } }
}
