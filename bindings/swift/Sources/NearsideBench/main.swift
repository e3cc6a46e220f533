// Measures the overhead of the Swift binding. Prints one line of JSON per measurement:
//
//   NearsideBench chunks [COUNT]             nanoseconds per chunk through the AsyncSequence, at full speed
//   NearsideBench cancel [COUNT]             resources left after cancelling streams at random times
//   NearsideBench decode MODEL [ANSWERS]     tokens per second of a real model, in the loop and in the engine
//
// Compare the numbers with those of Rust and Kotlin from the same idle machine.

import Foundation
import NearsideTesting

#if NEARSIDE_TESTING
    let words = Array(CommandLine.arguments.dropFirst())
    let count = words.last.flatMap { Int($0) }
    do {
        switch words.first {
        case "chunks": try await measureChunks(count ?? 20_000)
        case "cancel": try await measureCancelling(count ?? 1_000)
        case "decode" where words.count > 1: try await measureDecoding(words[1], answers: count ?? 5)
        default:
            try exitWithError("no measurement was named", "NearsideBench chunks|cancel|decode MODEL [COUNT]")
        }
    } catch {
        try exitWithError("\(error)", "see the error")
    }
#else
    try exitWithError("this build of the library cannot play scripts", "build with NEARSIDE_TESTING=1")
#endif

func exitWithError(_ message: String, _ remedy: String) throws {
    try FileHandle.standardError.write(contentsOf: Data("error: \(message)\nhelp: \(remedy)\n".utf8))
    exit(1)
}
