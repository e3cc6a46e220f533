//! Connections and routes of the two hosts.

use std::io::{self, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::http::{Framing, HttpRequest, percent_decode, write_head};
use crate::server::{lock, wait_for_disconnect};

use super::faults::{BodyFaults, Fault, take_refusal};
use super::log::{Host, LoggedRequest};
use super::repository::{COMMIT, ServedFile};
use super::state::HubShared;

/// Summary of a response, for the log.
struct SentResponse {
    status: u16,
    sent: u64,
    /// Whether the connection may carry another request.
    keep: bool,
}

/// Serves requests until the connection can carry no more.
pub(super) fn serve_connection(connection: &TcpStream, host: Host, shared: &HubShared) -> io::Result<()> {
    let mut reader = BufReader::new(connection);
    let mut writer = connection.try_clone()?;
    while let Some(head) = HttpRequest::read(&mut reader, &mut writer)? {
        let answered = match host {
            Host::Hub => answer_hub(&head, &mut writer, shared)?,
            Host::Cdn => answer_cdn(&head, &mut writer, shared)?,
        };
        if head.target != "/_log" {
            lock(&shared.log).push(LoggedRequest {
                host,
                method: head.method.clone(),
                path: head.target.clone(),
                range: head.header("range").map(str::to_owned),
                authorized: head.header("authorization").is_some(),
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

fn answer_hub(head: &HttpRequest, to: &mut TcpStream, shared: &HubShared) -> io::Result<SentResponse> {
    if head.target == "/_log" {
        let log = serde_json::to_string(&*lock(&shared.log))?;
        return respond(head, to, 200, &[], &log);
    }
    if let Some(refusal) = take_refusal(&mut lock(&shared.faults), Host::Hub) {
        return respond(head, to, refusal.status, &refusal.headers, "");
    }
    if let Some(other) = &shared.alias_of {
        let location = format!("{other}{}", head.target);
        return respond(head, to, 308, &pairs(&[("Location", &location)]), "");
    }
    let path = percent_decode(head.path());
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match parts[..] {
        ["api", ..] if shared.without_api => respond(head, to, 404, &[], "Not found"),
        ["api", "models", org, name, "tree", revision, ..] => {
            let repo = format!("{org}/{name}");
            if let Some(refused) = refuse(head, to, shared, &repo, revision)? {
                return Ok(refused);
            }
            let page = head.query("cursor").and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
            let (tree, more) = shared.repositories.tree(&repo, page);
            let at = shared.next_pages_at.as_deref().unwrap_or_default();
            let next = format!("<{at}{}?recursive=true&cursor={}>; rel=\"next\"", head.path(), page + 1);
            let headers = if more { pairs(&[("Link", &next)]) } else { Vec::new() };
            respond(head, to, 200, &headers, &tree.to_string())
        }
        ["api", "models", org, name] | ["api", "models", org, name, "revision", _] => {
            let (repo, revision) = (format!("{org}/{name}"), parts.get(5).copied().unwrap_or("main"));
            if let Some(refused) = refuse(head, to, shared, &repo, revision)? {
                return Ok(refused);
            }
            let body = json!({ "id": repo, "sha": COMMIT, "gated": false }).to_string();
            respond(head, to, 200, &[], &body)
        }
        [org, name, "resolve", revision, ref path @ ..] => {
            let repo = format!("{org}/{name}");
            if let Some(refused) = refuse(head, to, shared, &repo, revision)? {
                return Ok(refused);
            }
            match shared.repositories.file(&repo, &path.join("/")) {
                Some(file) => redirect(head, to, shared, file),
                None => {
                    let headers = pairs(&[("X-Error-Code", "EntryNotFound")]);
                    respond(head, to, 404, &headers, "Entry not found")
                }
            }
        }
        _ => respond(head, to, 404, &[], "Not found"),
    }
}

/// Sends the hub's error for an unknown repository or revision and for a missing or wrong token.
fn refuse(
    head: &HttpRequest,
    to: &mut TcpStream,
    shared: &HubShared,
    repo: &str,
    revision: &str,
) -> io::Result<Option<SentResponse>> {
    let token = shared.repositories.token(repo);
    let bearer = head
        .header("authorization")
        .map(|value| value.trim_start_matches("Bearer "));
    let refusal = match (shared.repositories.has(repo), token, bearer) {
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

fn redirect(head: &HttpRequest, to: &mut TcpStream, shared: &HubShared, file: &ServedFile) -> io::Result<SentResponse> {
    let lives = lock(&shared.faults).iter().find_map(|fault| match fault {
        Fault::ExpiresAfter(answers) => Some(*answers),
        _ => None,
    });
    let mut tickets = lock(&shared.tickets);
    let ticket = tickets.len() as u64 + 1;
    tickets.push((ticket, lives.unwrap_or(u32::MAX)));
    drop(tickets);
    let location = format!("{}/signed/{ticket}/{}/{}?Expires=1", shared.cdn, file.repo, file.name);
    let headers = pairs(&[
        ("X-Repo-Commit", COMMIT),
        ("X-Linked-Size", &file.size.to_string()),
        ("X-Linked-ETag", &format!("\"{}\"", file.sha256)),
        ("Location", &location),
    ]);
    respond(head, to, 302, &headers, "")
}

fn answer_cdn(head: &HttpRequest, to: &mut TcpStream, shared: &HubShared) -> io::Result<SentResponse> {
    if let Some(refusal) = take_refusal(&mut lock(&shared.faults), Host::Cdn) {
        return respond(head, to, refusal.status, &refusal.headers, "");
    }
    let path = percent_decode(head.path());
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let (org, name, path) = match parts[..] {
        ["signed", ticket, org, name, ref path @ ..] => {
            let mut tickets = lock(&shared.tickets);
            match tickets.iter_mut().find(|(of, _)| of.to_string() == ticket) {
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
fn send(head: &HttpRequest, to: &mut TcpStream, shared: &HubShared, file: &ServedFile) -> io::Result<SentResponse> {
    let is_head = head.method == "HEAD";
    let range = head.header("range");
    let faults = match is_head {
        true => BodyFaults::default(),
        false => BodyFaults::take(&mut lock(&shared.faults), range.is_some()),
    };
    if faults.web_page {
        let headers = pairs(&[("Content-Type", "text/html")]);
        let page = "<!doctype html><title>Please sign in to this network</title>";
        return respond(head, to, 200, &headers, page);
    }
    let range = range.filter(|_| !faults.ignore_ranges);
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
        let range = format!("bytes {from}-{last}/{}", file.size + faults.wrong_total);
        headers.push(("Content-Range".to_owned(), range));
    }
    let framing = match faults.too_long {
        0 => Framing::Length(end - first),
        _ => Framing::UntilClose,
    };
    write_head(to, status, &headers, framing)?;
    let (sent, whole) = match is_head {
        true => (0, true),
        false => send_body(to, shared, file, first, end, &faults),
    };
    let keep = whole && framing != Framing::UntilClose;
    Ok(SentResponse { status, sent, keep })
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
        shared.sent.fetch_add(count as u64, Ordering::SeqCst);
        if let Some(rate) = shared.rate {
            let due = Duration::from_secs_f64((at - first) as f64 / rate as f64);
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
        }
    }
    if faults.stall.is_some() && at == stop {
        wait_for_disconnect(to);
    }
    if faults.too_long > 0 && to.write_all(&vec![0; faults.too_long as usize]).is_err() {
        return (at - first, false);
    }
    (at - first, at == end && faults.stall.is_none())
}

/// Parses `bytes=A-B` or `bytes=A-` into first and end (exclusive); `Err` if the range is not satisfiable (416).
fn parse_range(range: &str, size: u64) -> Result<(u64, u64), ()> {
    let bounds = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let (first, last) = bounds.ok_or(())?;
    let first: u64 = first.parse().map_err(|_| ())?;
    let end = match last {
        "" => size,
        _ => last.parse::<u64>().map_err(|_| ())?.saturating_add(1).min(size),
    };
    if first < end { Ok((first, end)) } else { Err(()) }
}

fn respond(
    head: &HttpRequest,
    to: &mut TcpStream,
    status: u16,
    headers: &[(String, String)],
    body: &str,
) -> io::Result<SentResponse> {
    write_head(to, status, headers, Framing::Length(body.len() as u64))?;
    let body = if head.method == "HEAD" { "" } else { body };
    to.write_all(body.as_bytes())?;
    Ok(SentResponse {
        status,
        sent: body.len() as u64,
        keep: true,
    })
}

fn pairs(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
    headers.iter().map(owned).collect()
}

const BUFFER_BYTES: usize = 64 * 1024;
