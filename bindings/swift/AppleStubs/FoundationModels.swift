// See Darwin.swift. Names of Apple's module that an app may use beside NearsideKit's.

public protocol Tool<Arguments, Output>: Sendable {
    associatedtype Arguments
    associatedtype Output

    var name: String { get }
    var description: String { get }
    func call(arguments: Arguments) async throws -> Output
}

public struct Prompt: Sendable {
    public init(_ text: String) {}
}

public struct Instructions: Sendable {
    public init(_ text: String) {}
}

public struct GenerationOptions: Sendable {
    public init(temperature: Double? = nil, maximumResponseTokens: Int? = nil) {}
}

public struct Transcript: Sendable {
    public struct ToolDefinition: Sendable {
        public let name: String
    }

    public let toolDefinitions: [ToolDefinition] = []
}

public final class LanguageModelSession: Sendable {
    public struct Response<Content: Sendable>: Sendable {
        public let content: Content
    }

    public let transcript = Transcript()

    public init(tools: [any Tool] = [], instructions: Instructions? = nil) {}

    public func respond(
        to prompt: Prompt, options: GenerationOptions = GenerationOptions()
    ) async throws -> Response<String> {
        fatalError("a stub")
    }
}
