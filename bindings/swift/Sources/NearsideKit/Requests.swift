// Shorthand initializers and factories for common requests.

import Foundation

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
