// Measures the Swift package. Started by `scripts/measure.sh swift`; a measurement prints lines of JSON.
//
//   NearsideBench chunks [COUNT]                  a scripted answer of COUNT words (20,000) at full speed
//   NearsideBench cancels [COUNT]                 what stays of COUNT streams (1,000) cancelled at random times
//   NearsideBench cancel-phases MODEL [COUNT]     from a cancel to the end of the answer, COUNT times (200) in each phase
//   NearsideBench speed MODEL [ANSWERS]           prefill and decoding of ANSWERS answers (5, at most 24) of a real model,
//                                                 by Swift's clock
//
// Compare the numbers with those of Rust and Kotlin from the same idle machine.

import Foundation
import NearsideTesting

let words = Array(CommandLine.arguments.dropFirst())
let count = words.last.flatMap { Int($0) }
do {
    switch words.first {
    case "chunks": try await measureChunks(count ?? 20_000)
    case "cancels": try await measureCancels(count ?? 1_000)
    case "cancel-phases" where words.count > 1: try await measureCancelPhases(words[1], cancels: count ?? 200)
    case "speed" where words.count > 1: try await measureSpeed(words[1], answers: count ?? 5)
    default:
        try exitWithError("no such measurement", "use `chunks`, `cancels`, `cancel-phases MODEL` or `speed MODEL`")
    }
} catch {
    try exitWithError("\(error)", "see the error")
}

func exitWithError(_ message: String, _ remedy: String) throws {
    try FileHandle.standardError.write(contentsOf: Data("error: \(message)\nhelp: \(remedy)\n".utf8))
    exit(1)
}
