"""Parses the part of YAML that project.yml uses: parse_yaml(TEXT) returns mappings, lists, texts and booleans.

Mappings and lists by indentation, `[a, b]`, `{}`, quoted and plain texts, comments. `true` and `false` are booleans; everything
else is text, also YES and numbers. Anything else raises YamlError with its line: anchors, tags, block texts, tabs, several
documents, a key that stands twice.
"""

import re

KEY = re.compile(r'("(?:[^"\\])*"|[^\s"\'\[\]{}#&*!|>%@`,:][^:#]*?)\s*:(?:\s+(.*))?$')
PLAIN = re.compile(r"[^\s\"'\[\]{}#&*!|>%@`,-][^#]*|-[^\s#][^#]*")


class YamlError(ValueError):
    pass


def parse_yaml(text):
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        content = strip_comment(line)
        if "\t" in line:
            raise YamlError(f"line {number}: a tab")
        if content.strip() in ("---", "..."):
            raise YamlError(f"line {number}: more than one document")
        if content.strip():
            lines.append((number, len(content) - len(content.lstrip()), content.strip()))
    value, rest = parse_block(lines, lines[0][1] if lines else 0)
    if rest:
        raise YamlError(f"line {rest[0][0]}: wrong indentation")
    return value


def strip_comment(line):
    quote = None
    for index, character in enumerate(line):
        if quote is None and character == "#" and (index == 0 or line[index - 1] == " "):
            return line[:index].rstrip()
        if character == '"' and (quote is not None or index == 0 or line[index - 1] in " [,"):
            quote = None if quote else character
    return line.rstrip()


def parse_block(lines, indent):
    """Parses the lines of one indentation, and returns the value and the lines behind it."""
    if lines and lines[0][2].startswith("- "):
        return parse_list(lines, indent)
    values = {}
    while lines and lines[0][1] == indent:
        number, _, content = lines[0]
        match = KEY.fullmatch(content)
        if not match or content.startswith("- "):
            raise YamlError(f"line {number}: no `key: value`: {content}")
        key, lines = match[1].strip('"'), lines[1:]
        if key in values:
            raise YamlError(f"line {number}: `{key}` stands twice")
        if match[2]:
            values[key] = parse_scalar(match[2], number)
        elif lines and lines[0][1] > indent:
            values[key], lines = parse_block(lines, lines[0][1])
        else:
            raise YamlError(f"line {number}: `{key}` has no value")
    if lines and lines[0][1] > indent:
        raise YamlError(f"line {lines[0][0]}: wrong indentation")
    return values, lines


def parse_list(lines, indent):
    values = []
    while lines and lines[0][1] == indent and lines[0][2].startswith("- "):
        number, _, content = lines[0]
        item = content[2:].strip()
        if KEY.fullmatch(item) and not item.startswith('"'):
            # The keys of an item are as far indented as the first one.
            value, lines = parse_block([(number, indent + 2, item)] + lines[1:], indent + 2)
        else:
            value, lines = parse_scalar(item, number), lines[1:]
        values.append(value)
    return values, lines


def parse_scalar(text, number):
    if text.startswith("["):
        if not text.endswith("]"):
            raise YamlError(f"line {number}: a list without its end")
        parts = [part.strip() for part in text[1:-1].split(",")]
        return [parse_scalar(part, number) for part in parts if part or len(parts) > 1]
    if text == "{}":
        return {}
    if text.startswith('"'):
        if not re.fullmatch(r'"[^"\\]*"', text):
            raise YamlError(f"line {number}: not supported: {text}")
        return text[1:-1]
    if not PLAIN.fullmatch(text) or ": " in text:
        raise YamlError(f"line {number}: not supported: {text}")
    return {"true": True, "false": False}.get(text, text)
