"""What lint.sh checks in the language of comments, pages and texts: lint_text.py [--list] [ROOT]

The four pronouns for an unnamed actor must not occur in comments, in Markdown and in texts that users see: string literals
of what is shipped, and the samples' translations. A word that stands alone in quotation marks or backticks is a name.

The texts of core and llama (string literals with a space, but SQL) are for a person: they contain no flag (`--x`), no
command in backticks, and no identifier of code: nothing in snake_case or camelCase, and in backticks no bare lower-case
word. The names of things (models, files, providers) are filled in, so they are not part of a literal; what looks like an
example has a dot, a slash or a colon. OWN_NAMES are names of the world, and the keywords of JSON Schema are those of the app's own schema.

Two figures of the Rust comments of core, llama, bindings and cli are printed and must not fall below their floors:
- the share of functions, out of those that have `///` docs (once each, whatever attributes stand between the docs and the
  `fn`), whose docs start with a verb in the third person: a capitalized word in -s, after an adverb in -ly if there is one.
  Words in -ss, -us and -'s, those in NOT_VERBS and plurals with "of" or "worth" behind them are no verbs. `--list`
  prints the docs that do not;
- "returns", in any spelling, per 10,000 words ([A-Za-z']+) of all comments.
"""

import re
import sys

from lint_code import TOKEN, erase_tests, read_files

MIN_VERBS, MIN_RETURNS = 60, 20  # percent; per 10,000 words
VAGUE = re.compile(r"[`\"“](?:(?:no|some|any)body|whoever)[`\"”]|\b((?:no|some|any)body|whoever)\b", re.I)
HASH = re.compile(r'(?ms)(?:^|(?<=\s))(?P<comment>#[^\n]*|""".*?""")(?P<text>)')
DOCS = re.compile(
    r"(?m)(?:^[ \t]*///([^\n]*)\n)(?:[ \t]*///[^\n]*\n)*(?:\s*#\[(?:[^\[\]]|\[[^\]]*\])*\])*"
    r'\s*(?:pub(?:\([^)]*\))? )?(?:(?:const|async|unsafe|extern)(?: "C")? )*fn '
)
VERB = re.compile(r"(?:[A-Z][a-z]+ly )?(?:Re-)?([A-Za-z][a-z]*(?<![su])s)\b(?!['’-]| of\b| worth\b)")
NOT_VERBS = """As Its This Always Sometimes Perhaps Yes Bytes Characters Columns Constraints Costs Credentials Details Dollars Encoders
Engines Errors Facts Files Flags Fractions Headers Hours Instructions Messages Milliseconds Models Numbers Options Parts Prices
Programs Providers Readers Rules Seconds Settings Sizes Slugs Statistics Thousandths Threads Tokens Types Values Versions Words""".split()
CODE = [f"*.{kind}" for kind in "rs swift kt cpp h sh py".split()]
TRANSLATIONS = ["*/Localizable.xcstrings", "android-sample/*/strings/*", "android-sample/*/Strings.kt"]
FLAG = re.compile(r"(?<![-\w])--[a-z][a-z-]+")
COMMAND = re.compile(r"(?:nearside|providers|policy|pull|chat|route|doctor|fit|rm|ls) [a-z{]")
IDENTIFIER = re.compile(r"[a-z]+|[A-Z][a-z]+|[a-z0-9]+(?:_[a-z0-9]+)+|[a-z]+(?:[A-Z][a-z0-9]*)+|[\w.:]+\(.*\)")
CODE_WORD = re.compile(r"\b(?:[a-z]+(?:_[a-z]+)+|[a-z]+[A-Z]\w*)\b")
SQL = re.compile(r"\b(?:SELECT|INSERT|UPDATE|DELETE|CREATE|PRAGMA|ALTER|coalesce)\b|\w+, \w+_\w+, ")
OWN_NAMES = ["https", "http", "openrouter", "vLLM", "instruct", "it", "chat"]
TEXTS = re.compile(r"(core|llama)/src/(?!.*/tests\.rs$).*rs$")
SHIPPED = r"(core|llama|cli|serve|bindings)/src/|bindings/kotlin/src/(main|android|testing)/|bindings/swift/Sources/"


def for_a_person(path, text, start, literal):
    """Yields what in a literal only a program can follow."""
    filled = re.sub(r"\{[^{}]*\}", "{}", literal)
    if " " not in filled or SQL.search(filled) or path.endswith("/schema.rs"):
        return
    spans = re.findall(r"`([^`]+)`", filled)
    found = [span for span in spans if COMMAND.match(span) or IDENTIFIER.fullmatch(span) and span not in OWN_NAMES]
    found += FLAG.findall(filled) + [word for word in CODE_WORD.findall(re.sub(r"`[^`]*`", "", filled)) if word not in OWN_NAMES]
    for what in found:
        yield f"{path}:{text.count(chr(10), 0, start) + 1}: `{what}`: a text is for a person, and names no command, flag or identifier\n"


def vague(path, text, *span):
    for match in filter(lambda match: match[1], VAGUE.finditer(text, *span)):
        yield f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {match[1]}: name who is meant\n"


def self_test():
    docs = DOCS.findall("/// Sets it.\n/// Of old.\n#[must_use(\n)]\npub const fn f() {}\n/// Type.\nstruct T;\n")
    assert [text.strip() for text in docs] == ["Sets it."]
    assert all(map(VERB.match, ("Writes it", "Is", "Atomically sets"))) and not any(map(VERB.match, ("Models of", "Less", "Al's")))
    assert len(list(vague("a", "Some" + "body; `no" + "body`, no" + "body"))) == 2
    wrong = ["raise `context`", "set `allow_x`", "use --max-x", "`providers models {p}` lists them", "call `f()` now", "an a_b c", "`Done` or an"]
    assert all(list(for_a_person("a", text, 0, text)) for text in wrong)
    sound = ["`{name}` is not `{}`", "such as `hf:ORG/REPO`", "use `https` here", "SELECT a_b FROM c", "a_b", "tensor `a_b.c` is"]
    assert not any(list(for_a_person("a", text, 0, text)) for text in sound)


def main():
    self_test()
    root, summaries, words, found = ([word for word in sys.argv[1:] if word[0] != "-"] or ["."])[0], [], [], []
    for path, text in read_files(root, "*.md", *TRANSLATIONS).items():
        found += vague(path, text)
    for path, text in read_files(root, *CODE).items():
        own = re.match("(core|llama|bindings|cli)/.*rs$", path)
        summaries += [(path, match.strip()) for match in DOCS.findall(text)] if own else []
        seen = erase_tests(text, set())[0] if path.endswith(".rs") else text
        for match in (HASH if path.endswith((".sh", ".py")) else TOKEN).finditer(text):
            if match["comment"]:
                found += vague(path, text, *match.span())
                words += re.findall(r"[a-z']+", match[0].lower()) if own else []
            elif match["text"] and re.match(SHIPPED, path) and seen[match.start()] != " ":
                found += vague(path, text, match.start() + 1, match.end() - 1)
                if TEXTS.match(path):
                    found += for_a_person(path, text, match.start(), match["text"][1:-1])
    without = [(path, text) for path, text in summaries if not (verb := VERB.match(text)) or verb[1] in NOT_VERBS]
    print("".join(found + [f"{path}: {text}\n" for path, text in without if "--list" in sys.argv]), end="")
    verbs, returns = 100 - 100 * len(without) / len(summaries), 1e4 * words.count("returns") / len(words)
    print(f"{verbs:.1f} % of {len(summaries)} functions' docs start with a verb (at least {MIN_VERBS})")
    print(f"{returns:.1f} times \"returns\" per 10,000 of {len(words)} words (at least {MIN_RETURNS})")
    return bool(found) or verbs < MIN_VERBS or returns < MIN_RETURNS


if __name__ == "__main__":
    sys.exit(main())
