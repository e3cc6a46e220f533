// A scripted mode for whole apps, for UI tests: the launch argument `-nearsideScript` with a script, as JSON or as the path of
// a file with it. Every library that the app opens then plays the script, and the app needs no code for that.
//
//     app.launchArguments = ["-nearsideScript", #"{"steps": [{"type": "text", "text": "Because of the moon."}]}"#]
//
// Debug builds only: a released app ignores the argument.

import Foundation

enum LaunchScript {
    /// Reads the arguments, once in the life of the process.
    static func play() throws {
        #if DEBUG
            try result.get()
        #endif
    }

    private static let result = Result { try play(CommandLine.arguments) }

    /// Plays the script that these arguments have. Without one nothing is changed.
    static func play(_ arguments: [String]) throws {
        guard let place = arguments.lastIndex(of: "-nearsideScript"), place + 1 < arguments.count else { return }
        let script = arguments[place + 1]
        let isFile = !script.drop(while: \.isWhitespace).hasPrefix("{")
        try scriptApp(json: isFile ? String(contentsOf: URL(fileURLWithPath: script), encoding: .utf8) : script)
    }
}
