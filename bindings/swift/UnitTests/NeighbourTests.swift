// An app may contain its own SQLite and llama.cpp. The library must use its own copies: here the app's end the process.

import Foundation
import NearsideTesting
import Testing

@_cdecl("sqlite3_open_v2")
public func openInTheApp() { fatalError("the library called the app's SQLite") }

@_cdecl("sqlite3_prepare_v3")
public func prepareInTheApp() { fatalError("the library called the app's SQLite") }

@_cdecl("llama_backend_init")
public func initialiseInTheApp() { fatalError("the library called the app's llama.cpp") }

@_cdecl("ggml_init")
public func allocateInTheApp() { fatalError("the library called the app's ggml") }

@Suite struct NeighbourTests {
    @Test func theLibraryUsesItsOwnDatabaseAndLlama() async throws {
        let nearside = try Nearside(directory: freshDirectory())
        _ = try await nearside.conversations().create()
        #expect(try await nearside.conversations().list().count == 1)
        // A file that is no model: llama.cpp's own reader refuses it.
        let junk = freshDirectory().appendingPathExtension("gguf")
        try Data("GGUF but not really".utf8).write(to: junk)
        await #expect(throws: NearsideError.self) { try await nearside.import(path: junk.path) }
    }
}
