// What a process holds at a moment: threads, memory, streams of the library.

import Foundation
import NearsideTesting

struct Standing {
    let threads: Int
    let residentKB: Int
    /// Streams that the library has not let go of.
    let objects: Int

    static var now: Standing {
        get throws {
            #if NEARSIDE_TESTING
                let objects = Int(try liveObjects())
            #else
                let objects = -1
            #endif
            return Standing(threads: status("Threads"), residentKB: status("VmRSS"), objects: objects)
        }
    }

    /// The standing once it is no more than that one, or after two seconds: a thread ends a moment after its work.
    static func settled(to before: Standing) async throws -> Standing {
        var now = try Standing.now
        for _ in 0..<200 where now.threads > before.threads || now.objects > before.objects {
            try await Task.sleep(for: .milliseconds(10))
            now = try Standing.now
        }
        return now
    }

    /// A line of Linux's `/proc/self/status`; -1 on other systems.
    private static func status(_ name: String) -> Int {
        guard let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else { return -1 }
        let line = text.split(separator: "\n").first { $0.hasPrefix(name + ":") }
        return line.flatMap { line in Int(line.filter(\.isNumber)) } ?? -1
    }
}
