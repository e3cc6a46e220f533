// Shorthand initializers and factories for common requests.

import Foundation

extension Nearside {
    /// Opens the library in one directory with the default settings, and waits for the disk. An app uses
    /// ``open(_:host:)``, which keeps conversations in a directory that is backed up.
    public convenience init(directory: URL) throws {
        try self.init(config: Config(directory: directory.path))
    }

    /// Opens the directory with a host that reports device facts: `AppleHost()` on Apple's systems.
    public convenience init(directory: URL, host: any DeviceHost) throws {
        try self.init(config: Config(directory: directory.path), host: host)
    }

    /// Opens the library with these settings and a host.
    public convenience init(config: Config, host: any DeviceHost) throws {
        // UniFFI turns a named constructor into a static function; `self` gets a handle of its own, cloned from it.
        self.init(unsafeFromHandle: try Nearside.withHost(config: config, host: host).uniffiCloneHandle())
    }
}

extension ChatRequest {
    /// Creates a request; every parameter but `messages` has a default.
    ///
    /// Takes a sequence, so that a call with every argument resolves to the memberwise initializer, which takes an
    /// array.
    public init(
        messages: some Sequence<ChatMessage>, model: String? = nil, provider: String? = nil,
        mode: RoutingMode = .preferOnDevice,
        sensitivity: Sensitivity = .personal, sampling: SamplingOptions = SamplingOptions(),
        reasoning: ReasoningMode = .auto,
        output: OutputFormat = .text, tools: [ToolDefinition] = [], limits: RequestLimits = RequestLimits(),
        webSearch: Bool = false,
        consent: RouteTarget? = nil, purpose: String? = nil
    ) {
        let array: [ChatMessage] = Array(messages)
        self.init(
            messages: array, model: model, provider: provider, mode: mode, sensitivity: sensitivity,
            sampling: sampling, reasoning: reasoning, output: output, tools: tools, limits: limits,
            webSearch: webSearch, consent: consent, purpose: purpose)
    }
}

extension ChatMessage {
    /// Returns a user message.
    public static func user(_ text: String) -> ChatMessage {
        ChatMessage(role: .user, parts: [.text(text: text)])
    }

    /// Returns a system message: instructions for the whole conversation.
    public static func system(_ text: String) -> ChatMessage {
        ChatMessage(role: .system, parts: [.text(text: text)])
    }

    /// Returns an assistant message.
    public static func assistant(_ text: String) -> ChatMessage {
        ChatMessage(role: .assistant, parts: [.text(text: text)])
    }
}

extension ModelRef {
    /// Parses a reference such as `hf:ORG/REPO:Q8_0`, an `https` address, a path, or the id of an installed model.
    public static func parse(_ text: String) throws -> ModelRef {
        try modelRef(text: text)
    }
}
