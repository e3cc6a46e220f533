// What Swift adds to the library, as one line of JSON for each measurement:
//
//   NearsideBench chunks [COUNT]             chunks at full pace through the AsyncSequence: nanoseconds for each
//   NearsideBench cancel [COUNT]             streams cancelled at random moments: what is left of them
//   NearsideBench decode MODEL [ANSWERS]     a real model through the loop: tokens per second, here and as the engine saw it
//
// Numbers come from this process alone; compare them with those of Rust and Kotlin on the same quiet machine.

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
            try complain("it is not said what to measure", "NearsideBench chunks|cancel|decode MODEL [COUNT]")
        }
    } catch {
        try complain("\(error)", "see what the error says")
    }
#else
    try complain("this build of the library plays no scripts", "build with NEARSIDE_TESTING=1")
#endif

func complain(_ what: String, _ remedy: String) throws {
    try FileHandle.standardError.write(contentsOf: Data("error: \(what)\nhelp: \(remedy)\n".utf8))
    exit(1)
}
