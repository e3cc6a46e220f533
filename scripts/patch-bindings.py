"""Changes in the code that UniFFI generates, which no option of its offers: patch-bindings.py FOLDER

- Kotlin: `message` of an exception is its `detail`; UniFFI's lists all fields.
- Kotlin: a thread of the library that wakes a coroutine stays attached to the virtual machine, as a daemon, until it ends.
  JNA would attach and detach it at each call: a quarter of the time that the engine's thread and Kotlin take for a chunk.
- Kotlin: the functions that open the library take the host of the process by default (`PlatformHost`), `Nearside(config)` too.
- Kotlin: what only tests use (bindings/src/testing) requires an opt-in (`NearsideTestingApi`).
- Swift: what only tests may call, `Nearside.scripted` and the types of its script among it, is `@_spi(Testing)`: an app that
  imports NearsideKit does not see it, and NearsideTesting does.
- Swift: the constructors that open a directory are internal, because the hand-written ones (Opening.swift) pass the host of
  the system.
- Both: a panic of the library arrives as the error `Internal` with the reason `Bug`, instead of an error of UniFFI's that
  no app can catch by type.

Every generated file of the folder must contain what is changed; a new version of UniFFI that writes something else fails here.
"""

import pathlib
import re
import sys

KOTLIN_TEST_TYPES = {
    "data": "ScriptedReply TestExchange TestHeader TestHubFile TestRequest",
    "sealed": "ReplyStep TestHubFault",
    "open": "TestClock TestHub TestProvider",
}
KOTLIN = [
    (r'get\(\) = "detail=\$\{ ?`?detail`? ?\}[^"\n]*"', "get() = `detail`"),
    (r"throw InternalException\((.*)\)$", r"throw NearsideException.Internal(\1, ErrorReason.BUG, null, null)"),
    (
        r"^(internal object uniffiRustFutureContinuationCallbackImpl: .*\{)$",
        r"\1\n    init { Native.setCallbackThreadInitializer(this, com.sun.jna.CallbackThreadInitializer(true, false)) }",
    ),
    (r"(suspend fun `open`\(`config`: Config, `host`: DeviceHost\? =) null\)", r"\1 PlatformHost.current)"),
    (
        r"constructor\(`config`: Config\)([^{]*\{ _status ->\s+)(UniffiLib\.\w+_constructor_nearside_)new\(\s*(FfiConverterTypeConfig\S+),_status\)",
        r"constructor(`config`: Config, `host`: DeviceHost? = PlatformHost.current)\1"
        r"if (`host` == null) \2new(\3, _status) else \2with_host(\3, FfiConverterTypeDeviceHost.lower(`host`), _status)",
    ),
    (r"^@file:Suppress\(.*\)$", r"\g<0>\n@file:OptIn(NearsideTestingApi::class)"),
    *(
        (rf"^(?={kind} class {name}\b)", "@NearsideTestingApi\n")
        for kind, names in KOTLIN_TEST_TYPES.items()
        for name in names.split()
    ),
    *((rf"^(?=public interface {name}Interface\b)", "@NearsideTestingApi\n") for name in KOTLIN_TEST_TYPES["open"].split()),
    *(
        (rf"^ *(?=@Throws\(.*\) fun `{name}`\()", r"\g<0>@NearsideTestingApi ")
        for name in "scripted forTests scriptApp tinyModel testTape testChat testRefusal testModels liveObjects panicOnPurpose".split()
    ),
]
TEST_ONLY = (
    r"(?:ScriptedReply|ReplyStep|Test(?:Clock|Exchange|Header|Hub|HubFault|HubFile|Provider|Request)\b|liveObjects|panicOnPurpose"
    r"|(?:scripted|forTests|scriptApp|tinyModel|testChat|testModels|testRefusal|testTape)\()"
)
SWIFT = [
    (rf"^(public .*{TEST_ONLY}.*\{{)", r"@_spi(Testing) \1"),
    # An object's members are as hidden as its class.
    (r"^(open class Test(?:Clock|Hub|Provider):|public protocol Test(?:Clock|Hub|Provider)Protocol:)", r"@_spi(Testing) \1"),
    (r"^public convenience init\(config: Config\)", "convenience init(configAlone config: Config)"),
    (r"^public static func `open`\(config: Config, host: DeviceHost\? = nil\)", "static func openWithHost(config: Config, host: DeviceHost?)"),
    (r"^public (static func withHost\()", r"\1"),
    (
        r"throw UniffiInternalError\.rustPanic\((.*)\)$",
        r"throw NearsideError.Internal(detail: \1, reason: .bug, retryAfterMs: nil, helpUrl: nil)",
    ),
]


def main():
    patched = 0
    for path in sorted(pathlib.Path(sys.argv[1]).rglob("*")):
        changes = {".kt": KOTLIN, ".swift": SWIFT}.get(path.suffix)
        if not changes:
            continue
        text = path.read_text()
        for pattern, replacement in changes:
            text, count = re.subn(pattern, replacement, text, flags=re.M)
            if not count:
                sys.exit(f"error: {path}: nothing matches {pattern}\nhelp: UniFFI writes something else now; adapt scripts/patch-bindings.py")
        path.write_text(text)
        patched += 1
    if not patched:
        sys.exit(f"error: no generated code in {sys.argv[1]}\nhelp: generate it first")


main()
