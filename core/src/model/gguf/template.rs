//! What a chat template uses, told by its text alone: running it may take for ever, because a file from outside wrote it.

/// Returns whether the expressions of a Jinja template use this variable. Literal text, strings and comments do not count.
pub(super) fn uses_variable(template: &str, name: &str) -> bool {
    let mut rest = template;
    while let Some((opening, end)) = next_block(rest) {
        let block = &rest[opening..];
        let Some(close) = end else {
            rest = block
                .get(2..)
                .and_then(|block| block.split_once("#}"))
                .map_or("", |(_, rest)| rest);
            continue;
        };
        let (found, length) = scan_expression(&block[2..], name, close);
        if found {
            return true;
        }
        rest = block.get(2 + length..).unwrap_or_default();
    }
    false
}

/// Returns where the next block of a template begins, and the characters that end it; unset for a comment.
fn next_block(text: &str) -> Option<(usize, Option<&'static str>)> {
    text.match_indices('{')
        .find_map(|(at, _)| match text.as_bytes().get(at + 1) {
            Some(b'{') => Some((at, Some("}}"))),
            Some(b'%') => Some((at, Some("%}"))),
            Some(b'#') => Some((at, None)),
            _ => None,
        })
}

/// Returns whether the variable is used before the end of the expression, and how long the expression is.
fn scan_expression(text: &str, name: &str, close: &str) -> (bool, usize) {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut at = 0;
    let mut before = ' ';
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if rest.starts_with(close) {
            return (false, at + close.len());
        }
        let length = match c {
            '\'' | '"' => string_length(rest, c),
            _ if is_word(c) => {
                let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                // Behind a dot it is a field of another variable.
                if before != '.' && &rest[..length] == name {
                    return (true, at + length);
                }
                length
            }
            _ => c.len_utf8(),
        };
        if !c.is_whitespace() {
            before = c;
        }
        at += length;
    }
    (false, text.len())
}

/// Returns the length of the string literal at the start of the text, with its quotes.
fn string_length(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_counts_where_an_expression_uses_it() {
        for used in [
            "{% if tools %}{{ tools | tojson }}{% endif %}",
            "{%- if tools is not none -%}",
            "{%- set x = 'a }} b' %}{{x}} {%if not tools%}",
            "{ {{ message['role'] }} {%- for tool in tools -%}",
            "{# no comment #}{{- tools|length -}}",
            "{{ tools",
        ] {
            assert!(uses_variable(used, "tools"), "{used}");
        }
        for unused in [
            "",
            "You may use tools. {{ messages[0].content }}",
            "{# tools #}{{ 'tools' }} {% set my_tools = \"it's \\\" tools\" %}",
            "{% if message.tools %}{{ message['tools'] }}{% endif %}",
            "{% if tools_in_user_message or xml_tools %}{% endif %}",
            "{% for message in messages %}({{ message.role }}) {{ message.content }}\n{% endfor %}",
            "{# an open comment {{ tools }}",
            "{",
            "é{é%é",
        ] {
            assert!(!uses_variable(unused, "tools"), "{unused}");
        }
    }
}
