// Resources held by the process: threads, memory, streams of the library.

import Foundation
@_spi(Testing) import NearsideKit

struct ProcessUsage: Encodable {
    let threads: Int
    let residentKB: Int
    /// Live stream objects of the library.
    let objects: Int

    static var now: ProcessUsage {
        get throws {
            ProcessUsage(threads: status("Threads"), residentKB: status("VmRSS"), objects: Int(try liveObjects()))
        }
    }

    /// Waits until threads and objects are back at `before`, two seconds at most, because threads end with a delay.
    static func afterCleanup(to before: ProcessUsage) async throws -> ProcessUsage {
        var now = try ProcessUsage.now
        for _ in 0..<200 where now.threads > before.threads || now.objects > before.objects {
            try await Task.sleep(for: .milliseconds(10))
            now = try ProcessUsage.now
        }
        return now
    }

    /// Returns a number from Linux's `/proc/self/status`; -1 on other systems.
    private static func status(_ name: String) -> Int {
        guard let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else { return -1 }
        let line = text.split(separator: "\n").first { $0.hasPrefix(name + ":") }
        return line.flatMap { line in Int(line.filter(\.isNumber)) } ?? -1
    }
}
