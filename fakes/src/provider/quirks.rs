//! Encodes the shapes of [`Quirk`]: each is a variation of a plain answer in the dialect's own format.

use serde_json::{Value, json};

use super::completions::{self, StreamEvents};
use super::dialect::{Dialect, WireFormat};
use super::ollama;
use super::quirk::Quirk;
use super::reply::Reply;

/// The response of a quirk.
pub(super) enum QuirkResponse {
    /// A body of this content type, with status 200.
    Body(&'static str, Vec<Vec<u8>>),
    /// A redirect to this address.
    Redirect(String),
}

/// Builds the response to a streaming request.
pub(super) fn respond(dialect: Dialect, quirk: Quirk, reply: &Reply, request: &Value) -> QuirkResponse {
    let StreamEvents { content, closing } = match dialect {
        Dialect::Ollama => ollama::stream(reply),
        _ => completions::stream(dialect, reply, request),
    };
    let answer = || content.iter().chain(&closing).cloned().collect::<Vec<_>>();
    let ok = |sends: Vec<Vec<u8>>| QuirkResponse::Body(dialect.stream_type(), sends);
    // The first chunk with text; some dialects have one without before it.
    let template = content.last().map(|event| parse(event)).unwrap_or_default();
    let with = |deltas: Vec<Value>| {
        let chunks = deltas
            .into_iter()
            .map(|delta| render(dialect, &with_delta(dialect, &template, delta)));
        ok(chunks.chain(closing.iter().cloned()).collect())
    };
    let after_text = |rest: &[&str]| {
        let rest = rest.iter().map(|text| text.as_bytes().to_vec());
        ok(content.iter().cloned().chain(rest).collect())
    };
    let between = |extra: &[u8]| {
        let mut sends = vec![extra.to_vec()];
        for event in &content {
            sends.extend([event.clone(), extra.to_vec()]);
        }
        sends.extend(closing.iter().cloned());
        ok(sends)
    };
    match quirk {
        Quirk::ErrorLine => after_text(&["error: ", CONTEXT_ERROR, "\n\n", "data: [DONE]\n\n"]),
        Quirk::ErrorLineFirst => ok(vec![format!("error: {CONTEXT_ERROR}\n\n").into_bytes()]),
        Quirk::ErrorEvent => ok(vec![format!("event: error\ndata: {CONTEXT_ERROR}\n\n").into_bytes()]),
        Quirk::BareError => ok(vec![format!("{{\"error\":{CONTEXT_ERROR}}}").into_bytes()]),
        Quirk::BareErrorPretty => ok(vec![format!("{{\n  \"error\": {CONTEXT_ERROR}\n}}\n").into_bytes()]),
        Quirk::ErrorType => ok(vec![render(
            dialect,
            &json!({ "error": "zyx", "error_type": "overloaded" }),
        )]),
        Quirk::ErrorObject => ok(vec![render(
            dialect,
            &json!({ "object": "error", "message": "This model's maximum context length is 512 tokens. zyx",
                     "type": "BadRequestError", "param": null, "code": 400 }),
        )]),
        Quirk::EmptyErrors => {
            let mut empty = [json!(""), json!({}), json!(null), json!(false)].into_iter().cycle();
            let mark = |event: &Vec<u8>| {
                let mut chunk = parse(event);
                if chunk.is_object() {
                    chunk["error"] = empty.next().unwrap_or_default();
                    return render(dialect, &chunk);
                }
                event.clone()
            };
            ok(answer().iter().map(mark).collect())
        }
        Quirk::ByteOrderMark => {
            // The first event is then one with text.
            let without_role = answer().into_iter().skip(usize::from(dialect != Dialect::Ollama));
            ok([b"\xEF\xBB\xBF".to_vec()].into_iter().chain(without_role).collect())
        }
        Quirk::EmptyData => between(b"data:\n\ndata: \n\n"),
        Quirk::NullData if dialect == Dialect::Ollama => between(b"null\n"),
        Quirk::NullData => between(b"data: null\n\n"),
        Quirk::CarriageReturns => {
            let change = |event: Vec<u8>| {
                event
                    .into_iter()
                    .map(|byte| if byte == b'\n' { b'\r' } else { byte })
                    .collect()
            };
            ok(answer().into_iter().map(change).collect())
        }
        Quirk::HalfEmoji => {
            let chunk = |half: &str| {
                let text =
                    String::from_utf8_lossy(&render(dialect, &with_delta(dialect, &template, text(dialect, "HALF"))))
                        .into_owned();
                text.replace("HALF", half).into_bytes()
            };
            let halves = [chunk("a \\ud83d"), chunk("\\ude00"), chunk(" bye")];
            ok(halves.into_iter().chain(closing.iter().cloned()).collect())
        }
        Quirk::CallsAllZero => with(vec![
            call(dialect, Some((0, "call_a")), "1"),
            call(dialect, Some((0, "call_b")), "2"),
        ]),
        Quirk::CallsWithoutIndex => with(vec![call(dialect, None, "1"), call(dialect, None, "2")]),
        Quirk::Refusal => with(vec![
            json!({ "content": null, "refusal": "I can" }),
            json!({ "refusal": "not." }),
        ]),
        Quirk::RefusalWithoutUsage => {
            let mut sends: Vec<_> = ["I can", "not."]
                .map(|refusal| render(dialect, &with_delta(dialect, &template, json!({ "refusal": refusal }))))
                .into();
            let mut end = with_delta(dialect, &template, json!({}));
            end["choices"][0]["finish_reason"] = json!("stop");
            sends.extend([render(dialect, &end), b"data: [DONE]\n\n".to_vec()]);
            ok(sends)
        }
        Quirk::EventsAsJson => QuirkResponse::Body("application/json", answer()),
        Quirk::JsonAsEvents => ok(vec![completions::whole(dialect, reply).to_string().into_bytes()]),
        Quirk::ClosingTag => with(vec![
            text(dialect, "Let me think.</th"),
            text(dialect, "ink>\n\n"),
            text(dialect, "one two"),
        ]),
        Quirk::Redirect => QuirkResponse::Redirect(format!(
            "https://new.example{}{}?key=zyx",
            dialect.base_path(),
            dialect.chat_path()
        )),
        Quirk::SignInRedirect => QuirkResponse::Redirect("https://portal.example/login?from=zyx".to_owned()),
        Quirk::NotUtf8 => {
            let chunk = render(dialect, &with_delta(dialect, &template, text(dialect, "caf?")));
            let latin = chunk
                .into_iter()
                .map(|byte| if byte == b'?' { 0xE9 } else { byte })
                .collect();
            ok(vec![latin])
        }
    }
}

/// Returns the chunk with other content.
fn with_delta(dialect: Dialect, template: &Value, delta: Value) -> Value {
    let mut chunk = template.clone();
    match dialect {
        Dialect::Ollama => chunk["message"] = delta,
        _ => chunk["choices"][0]["delta"] = delta,
    }
    chunk
}

fn text(dialect: Dialect, text: &str) -> Value {
    match dialect {
        Dialect::Ollama => json!({ "role": "assistant", "content": text }),
        _ => json!({ "content": text }),
    }
}

fn call(dialect: Dialect, index_and_id: Option<(u64, &str)>, city: &str) -> Value {
    let arguments = json!({ "city": city });
    let mut function = json!({ "name": "tides", "arguments": arguments.to_string() });
    if dialect == Dialect::Ollama {
        function["arguments"] = arguments;
    }
    let mut call = json!({ "type": "function", "function": function });
    if let Some((index, id)) = index_and_id {
        match dialect {
            // Ollama numbers the function, and older versions send no ids.
            Dialect::Ollama => call["function"]["index"] = json!(index),
            _ => (call["index"], call["id"]) = (json!(index), json!(id)),
        }
    }
    json!({ "role": "assistant", "content": "", "tool_calls": [call] })
}

fn parse(event: &[u8]) -> Value {
    let text = String::from_utf8_lossy(event);
    let text = text.trim();
    serde_json::from_str(text.strip_prefix("data: ").unwrap_or(text)).unwrap_or_default()
}

fn render(dialect: Dialect, chunk: &Value) -> Vec<u8> {
    match dialect {
        Dialect::Ollama => ollama::line(chunk),
        _ => format!("data: {chunk}\n\n").into_bytes(),
    }
}

const CONTEXT_ERROR: &str = r#"{"code":400,"message":"the request exceeds the available context size. zyx","type":"exceed_context_size_error"}"#;
