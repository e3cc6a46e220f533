// See Darwin.swift. Names of Apple's module that an app may use beside NearsideKit's.

public protocol ToolDefinition<Arguments, OutputFormat>: Sendable {
    associatedtype Arguments
    associatedtype OutputFormat

    var name: String { get }
    var description: String { get }
    func call(arguments: Arguments) async throws -> OutputFormat
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

    public init(tools: [any ToolDefinition] = [], instructions: Instructions? = nil) {}

    public func respond(
        to prompt: Prompt, options: GenerationOptions = GenerationOptions()
    ) async throws -> Response<String> {
        fatalError("a stub")
    }
}
