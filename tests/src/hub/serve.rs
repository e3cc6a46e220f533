//! Connections and routes of the two hosts.

use std::io::{self, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::json;

use super::faults::{BodyFaults, Fault, take_refusal};
use super::http::{RequestHead, parse_range, write_head};
use super::log::{Host, LoggedRequest};
use super::repository::{COMMIT, ServedFile};
use super::state::{HubShared, lock};

/// Accepts connections until the hub closes.
pub(super) fn accept(listener: &TcpListener, host: Host, shared: &Arc<HubShared>) {
    for connection in listener.incoming() {
        if shared.closing.load(Ordering::SeqCst) {
            return;
        }
        let Ok(connection) = connection else { continue };
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            let number = shared.register(&connection);
            // Ignore clients that disconnect.
            let _ = serve_connection(&connection, host, &shared);
            shared.unregister(number);
            // Dropping is not enough: the registry holds a cloned handle.
            let _ = connection.shutdown(std::net::Shutdown::Both);
        });
    }
}

/// Summary of a response, for the log.
struct SentResponse {
    status: u16,
    sent: u64,
    /// Whether the connection may carry another request.
    keep: bool,
}

fn serve_connection(connection: &TcpStream, host: Host, shared: &HubShared) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut reader = BufReader::new(connection);
    let mut writer = connection.try_clone()?;
    while let Some(head) = RequestHead::read(&mut reader)? {
        let answered = match host {
            Host::Hub => answer_hub(&head, &mut writer, shared)?,
            Host::Cdn => answer_cdn(&head, &mut writer, shared)?,
        };
        if head.path != "/_log" {
            lock(&shared.log).push(LoggedRequest {
                host,
                method: head.method.clone(),
                path: head.target(),
                range: head.range.clone(),
                authorized: head.bearer.is_some(),
                status: answered.status,
                sent: answered.sent,
            });
        }
        if !answered.keep {
            return Ok(());
        }
    }
    Ok(())
}

fn answer_hub(head: &RequestHead, to: &mut TcpStream, shared: &HubShared) -> io::Result<SentResponse> {
    if head.path == "/_log" {
        let log = serde_json::to_string(&*lock(&shared.log))?;
        return respond(head, to, 200, &[], &log);
    }
    if let Some(refusal) = take_refusal(&mut lock(&shared.faults), Host::Hub) {
        return respond(head, to, refusal.status, &refusal.headers, "");
    }
    let parts: Vec<&str> = head.path.trim_start_matches('/').split('/').collect();
    match parts[..] {
        ["api", ..] if shared.without_api => respond(head, to, 404, &[], "Not found"),
        ["api", "models", org, name, "tree", revision, ..] => {
            let repo = format!("{org}/{name}");
            if let Some(refused) = refuse(head, to, shared, &repo, revision)? {
                return Ok(refused);
            }
            let page = head
                .query_value("cursor")
                .and_then(|cursor| cursor.parse().ok())
                .unwrap_or(0);
            let (tree, more) = shared.repositories.tree(&repo, page);
            let next = format!("<{}?recursive=true&cursor={}>; rel=\"next\"", head.path, page + 1);
            let headers = if more { pairs(&[("Link", &next)]) } else { Vec::new() };
            respond(head, to, 200, &headers, &tree.to_string())
        }
        ["api", "models", org, name] | ["api", "models", org, name, "revision", _] => {
            let (repo, revision) = (format!("{org}/{name}"), parts.get(5).copied().unwrap_or("main"));
            match refuse(head, to, shared, &repo, revision)? {
                Some(refused) => Ok(refused),
                None => respond(
                    head,
                    to,
                    200,
                    &[],
                    &json!({ "id": repo, "sha": COMMIT, "gated": false }).to_string(),
                ),
            }
        }
        [org, name, "resolve", revision, ref path @ ..] => {
            let repo = format!("{org}/{name}");
            if let Some(refused) = refuse(head, to, shared, &repo, revision)? {
                return Ok(refused);
            }
            match shared.repositories.file(&repo, &path.join("/")) {
                Some(file) => redirect(head, to, shared, file),
                None => respond(
                    head,
                    to,
                    404,
                    &pairs(&[("X-Error-Code", "EntryNotFound")]),
                    "Entry not found",
                ),
            }
        }
        _ => respond(head, to, 404, &[], "Not found"),
    }
}

/// Sends the hub's error for an unknown repository or revision and for a missing or wrong token.
fn refuse(
    head: &RequestHead,
    to: &mut TcpStream,
    shared: &HubShared,
    repo: &str,
    revision: &str,
) -> io::Result<Option<SentResponse>> {
    let token = shared.repositories.token(repo);
    let refusal = match (shared.repositories.has(repo), token, head.bearer.as_deref()) {
        // Without a token the hub does not reveal whether a repository exists.
        (false, _, None) => Some((401, "RepoNotFound")),
        (false, _, Some(_)) => Some((404, "RepoNotFound")),
        (true, Some(_), None) => Some((401, "GatedRepo")),
        (true, Some(token), Some(shown)) if token != shown => Some((403, "GatedRepo")),
        _ if ![COMMIT, "main"].contains(&revision) => Some((404, "RevisionNotFound")),
        _ => None,
    };
    refusal
        .map(|(status, code)| respond(head, to, status, &pairs(&[("X-Error-Code", code)]), ""))
        .transpose()
}

fn redirect(head: &RequestHead, to: &mut TcpStream, shared: &HubShared, file: &ServedFile) -> io::Result<SentResponse> {
    let lives = lock(&shared.faults).iter().find_map(|fault| match fault {
        Fault::ExpiresAfter(answers) => Some(*answers),
        _ => None,
    });
    let mut tickets = lock(&shared.tickets);
    let ticket = tickets.len() as u64 + 1;
    tickets.push((ticket, lives.unwrap_or(u32::MAX)));
    drop(tickets);
    let headers = pairs(&[
        ("X-Repo-Commit", COMMIT),
        ("X-Linked-Size", &file.size.to_string()),
        ("X-Linked-ETag", &format!("\"{}\"", file.sha256)),
        (
            "Location",
            &format!("{}/signed/{ticket}/{}/{}?Expires=1", shared.cdn, file.repo, file.name),
        ),
    ]);
    respond(head, to, 302, &headers, "")
}

fn answer_cdn(head: &RequestHead, to: &mut TcpStream, shared: &HubShared) -> io::Result<SentResponse> {
    if let Some(refusal) = take_refusal(&mut lock(&shared.faults), Host::Cdn) {
        return respond(head, to, refusal.status, &refusal.headers, "");
    }
    let parts: Vec<&str> = head.path.trim_start_matches('/').split('/').collect();
    let (org, name, path) = match parts[..] {
        ["signed", ticket, org, name, ref path @ ..] => {
            let mut tickets = lock(&shared.tickets);
            let held = ticket
                .parse()
                .ok()
                .and_then(|ticket: u64| tickets.iter_mut().find(|(of, _)| *of == ticket));
            match held {
                Some((_, lives)) if *lives > 0 => *lives -= 1,
                _ => {
                    drop(tickets);
                    return respond(head, to, 403, &[], "<Error><Code>AccessDenied</Code></Error>");
                }
            }
            (org, name, path.join("/"))
        }
        ["direct", org, name, ref path @ ..] => (org, name, path.join("/")),
        _ => return respond(head, to, 404, &[], "Not found"),
    };
    match shared.repositories.file(&format!("{org}/{name}"), &path) {
        Some(file) => send(head, to, shared, file),
        None => respond(head, to, 404, &[], "Not found"),
    }
}

/// Sends a file or a range of it, with the pending faults.
fn send(head: &RequestHead, to: &mut TcpStream, shared: &HubShared, file: &ServedFile) -> io::Result<SentResponse> {
    let is_head = head.method == "HEAD";
    let faults = if is_head {
        BodyFaults::default()
    } else {
        BodyFaults::take(&mut lock(&shared.faults), head.range.is_some())
    };
    if faults.web_page {
        let headers = pairs(&[("Content-Type", "text/html")]);
        return respond(
            head,
            to,
            200,
            &headers,
            "<!doctype html><title>Please sign in to this network</title>",
        );
    }
    let range = head.range.as_deref().filter(|_| !faults.ignore_ranges);
    let (first, end, status) = match range.map(|range| parse_range(range, file.size)) {
        None => (0, file.size, 200),
        Some(Ok((first, end))) => (first, end, 206),
        Some(Err(())) => {
            let total = format!("bytes */{}", file.size);
            return respond(head, to, 416, &pairs(&[("Content-Range", &total)]), "");
        }
    };
    let mut headers = pairs(&[("Content-Type", "binary/octet-stream"), ("Accept-Ranges", "bytes")]);
    if status == 206 {
        let (from, last) = (first + faults.shifted, end - 1 + faults.shifted);
        headers.push((
            "Content-Range".to_owned(),
            format!("bytes {from}-{last}/{}", file.size + faults.wrong_total),
        ));
    }
    let length = (faults.too_long == 0).then_some(end - first);
    write_head(to, status, &headers, length)?;
    if is_head {
        return Ok(SentResponse {
            status,
            sent: 0,
            keep: true,
        });
    }
    let (sent, whole) = send_body(to, shared, file, first, end, &faults);
    Ok(SentResponse {
        status,
        sent,
        keep: whole && length.is_some(),
    })
}

/// Writes the body. Returns the number of bytes sent and whether the body is complete.
fn send_body(
    to: &mut TcpStream,
    shared: &HubShared,
    file: &ServedFile,
    first: u64,
    end: u64,
    faults: &BodyFaults,
) -> (u64, bool) {
    let begun = Instant::now();
    let stop = faults
        .cut
        .into_iter()
        .chain(faults.stall)
        .min()
        .map_or(end, |after| end.min(first + after));
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut at = first;
    while at < stop {
        let wanted = BUFFER_BYTES.min((stop - at) as usize);
        let Ok(count) = file.read_at(at, &mut buffer[..wanted]) else {
            return (at - first, false);
        };
        if let Some(wrong) = faults
            .wrong_byte
            .filter(|wrong| (at..at + count as u64).contains(wrong))
        {
            buffer[(wrong - at) as usize] ^= 0xFF;
        }
        if count == 0 || to.write_all(&buffer[..count]).is_err() {
            return (at - first, false);
        }
        at += count as u64;
        if let Some(rate) = shared.rate {
            let due = Duration::from_secs_f64((at - first) as f64 / rate as f64);
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
        }
    }
    if faults.stall.is_some() && at == stop {
        hold_open(to, shared);
    }
    if faults.too_long > 0 && to.write_all(&vec![0; faults.too_long as usize]).is_err() {
        return (at - first, false);
    }
    (at - first, at == end && faults.stall.is_none())
}

/// Waits until the client disconnects or the hub closes.
fn hold_open(connection: &TcpStream, shared: &HubShared) {
    let mut byte = [0];
    while !shared.closing.load(Ordering::SeqCst) {
        // A client that receives a body sends nothing, so `peek` returns when it disconnects.
        match connection.peek(&mut byte) {
            Ok(0) | Err(_) => return,
            Ok(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn respond(
    head: &RequestHead,
    to: &mut TcpStream,
    status: u16,
    headers: &[(String, String)],
    body: &str,
) -> io::Result<SentResponse> {
    write_head(to, status, headers, Some(body.len() as u64))?;
    let is_head = head.method == "HEAD";
    if !is_head {
        to.write_all(body.as_bytes())?;
    }
    Ok(SentResponse {
        status,
        sent: if is_head { 0 } else { body.len() as u64 },
        keep: true,
    })
}

fn pairs(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

const BUFFER_BYTES: usize = 64 * 1024;
