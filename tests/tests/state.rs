//! The state database: persistence, cascading removals, concurrent access, and damaged or newer files.

#![allow(clippy::expect_used, reason = "a step that fails is a test that fails")]

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nearside::ErrorKind;
use nearside::chat::{CostSource, RouteTarget, TokenUsage};
use nearside::engine::remote::{
    Forwarding, ListedModels, ProviderKind, ProviderSettings, RemoteModel, UnopenedThought,
};
use nearside::route::{ConsentPolicy, RoutingPolicy, Speed};
use nearside::state::State;
use nearside::state::{Caps, Ledger, Reservation, SpendingGroup};

fn settings(name: &str) -> ProviderSettings {
    ProviderSettings::new(name, ProviderKind::Groq)
}

fn remote(provider: &str) -> RouteTarget {
    RouteTarget::Remote {
        provider: provider.into(),
        model: "m".into(),
    }
}

fn local() -> RouteTarget {
    RouteTarget::Local { model: "smol".into() }
}

/// Returns a time in November 2026, UTC.
fn november(day: u64, hour: u64) -> SystemTime {
    const FIRST: u64 = 1_793_491_200;
    UNIX_EPOCH + Duration::from_secs(FIRST + (day - 1) * 86_400 + hour * 3_600)
}

fn fresh_ledger() -> (tempfile::TempDir, Ledger) {
    let (folder, state) = fresh();
    (folder, Ledger::new(state))
}

fn fresh() -> (tempfile::TempDir, Arc<State>) {
    let folder = tempfile::tempdir().expect("a folder");
    let state = State::open_in(folder.path()).expect("a state");
    (folder, Arc::new(state))
}

fn reservation(target: &RouteTarget, usd: f64, caps: Caps, now: SystemTime) -> Reservation<'_> {
    Reservation {
        target,
        purpose: "chat",
        usd,
        caps,
        now,
    }
}

fn spend(ledger: &Ledger, target: &RouteTarget, purpose: &str, usd: f64, now: SystemTime) {
    let reservation = Reservation {
        purpose,
        ..reservation(target, usd, Caps::default(), now)
    };
    let entry = ledger.reserve(&reservation).expect("reserved");
    let usage = TokenUsage {
        prompt_tokens: 10,
        completion_tokens: 5,
        ..TokenUsage::default()
    };
    let settled = ledger.settle(entry, usd, &usage, CostSource::Provider);
    settled.expect("settled");
}

#[test]
fn what_was_kept_is_there_after_the_file_was_closed() {
    let (folder, state) = fresh();
    let policy = RoutingPolicy {
        consent: ConsentPolicy::Given,
        max_usd_day: Some(0.5),
        ..RoutingPolicy::default()
    };
    let models = ListedModels {
        models: vec![RemoteModel {
            id: "m".into(),
            ..RemoteModel::default()
        }],
        forwarding: Forwarding::Never,
        unopened: vec![UnopenedThought {
            model: "m".into(),
            mode: "auto".into(),
        }],
    };
    state.save_provider(&settings("groq")).expect("saved");
    state.save_models("groq", &models, november(3, 4)).expect("saved");
    state.save_policy(&policy).expect("saved");
    let needs = [("smol weights".to_owned(), u64::MAX >> 1), ("smol cache".to_owned(), 7)];
    state.remember_needs(&needs).expect("saved");
    drop(state);

    let state = State::open_in(folder.path()).expect("opened again");
    assert_eq!(state.providers().expect("read"), [settings("groq")]);
    assert_eq!(state.models("groq").expect("read"), Some((models, november(3, 4))));
    assert_eq!(state.policy().expect("read"), Some(policy));
    assert_eq!(state.needs().expect("read"), needs.into());
}

#[test]
fn a_removed_provider_takes_its_models_and_speeds_along_and_leaves_its_spending() {
    let (_folder, state) = fresh();
    let speed = Speed {
        tokens_per_second: Some(50.0),
        ..Speed::default()
    };
    state.save_provider(&settings("groq")).expect("saved");
    state
        .save_models("groq", &ListedModels::default(), november(1, 0))
        .expect("saved");
    state.record_speed(&remote("groq"), speed).expect("saved");
    state.record_speed(&local(), speed).expect("saved");
    let ledger = Ledger::new(Arc::clone(&state));
    spend(&ledger, &remote("groq"), "chat", 0.25, november(1, 0));

    assert!(state.remove_provider("groq").expect("removed"));
    assert!(!state.remove_provider("groq").expect("gone already"));
    assert_eq!(state.models("groq").expect("read"), None);
    assert_eq!(state.speeds().expect("read").into_keys().collect::<Vec<_>>(), [local()]);
    assert_eq!(ledger.spent(november(1, 1)).expect("read").day, 0.25);

    state
        .save_models("groq", &ListedModels::default(), november(1, 0))
        .expect("comes too late");
    state.record_speed(&remote("groq"), speed).expect("comes too late");
    state.save_provider(&settings("groq")).expect("saved");
    assert_eq!(state.models("groq").expect("read"), None);
    assert_eq!(state.speeds().expect("read").len(), 1);
}

#[test]
fn a_provider_at_another_address_is_another_server() {
    let (_folder, state) = fresh();
    state.save_provider(&settings("p")).expect("saved");
    state
        .save_models("p", &ListedModels::default(), november(1, 0))
        .expect("saved");
    let renamed = ProviderSettings {
        model: Some("m".into()),
        ..settings("p")
    };
    state.save_provider(&renamed).expect("saved");
    assert!(state.models("p").expect("read").is_some(), "the same server");
    let moved = ProviderSettings {
        base_url: Some("https://example.org".into()),
        ..renamed
    };
    state.save_provider(&moved).expect("saved");
    assert_eq!(state.models("p").expect("read"), None);
    assert_eq!(state.providers().expect("read"), [moved]);
}

#[test]
fn a_speed_follows_what_is_measured_and_ignores_what_was_not() {
    let (_folder, state) = fresh();
    let measured = |prompt, decode| Speed {
        prompt_tokens_per_second: prompt,
        tokens_per_second: decode,
        first_token_ms: None,
    };
    for (prompt, decode, kept) in [
        (Some(100.0), None, measured(Some(100.0), None)),
        (Some(200.0), Some(10.0), measured(Some(130.0), Some(10.0))),
        (Some(0.0), Some(f64::NAN), measured(Some(130.0), Some(10.0))),
    ] {
        state.record_speed(&local(), measured(prompt, decode)).expect("saved");
        assert_eq!(state.speeds().expect("read")[&local()], kept);
    }
}

#[test]
fn caps_count_what_is_settled_and_what_is_reserved_on_the_day_and_in_the_month() {
    let (_folder, ledger) = fresh_ledger();
    let target = remote("groq");
    let caps = Caps {
        day: Some(1.0),
        month: Some(1.5),
        request: None,
    };
    let reserve = |usd, now| ledger.reserve(&reservation(&target, usd, caps, now));
    let first = reserve(0.75, november(9, 12)).expect("fits");
    let refused = reserve(0.5, november(9, 13)).expect_err("0.75 are reserved");
    assert_eq!(refused.kind(), ErrorKind::Blocked);
    for figure in ["$0.50", "$0.75", "$1.00", "a day"] {
        assert!(refused.to_string().contains(figure), "{refused}");
    }
    let settle = |entry, usd| ledger.settle(entry, usd, &TokenUsage::default(), CostSource::Computed);
    settle(first, 0.5).expect("settled");
    let second = reserve(0.5, november(9, 23)).expect("fits exactly, since it cost less than was reserved");
    assert_eq!(ledger.spent(november(9, 0)).expect("read").day, 1.0);
    ledger.release(second).expect("released");
    assert_eq!(ledger.spent(november(9, 0)).expect("read").day, 0.5);
    for result in [settle(first, 0.1), settle(second, 0.1), ledger.release(second)] {
        assert_eq!(result.expect_err("over already").kind(), ErrorKind::Internal);
    }

    reserve(1.0, november(10, 0)).expect("a new day");
    let refused = reserve(0.1, november(11, 0)).expect_err("the month is full");
    assert!(refused.to_string().contains("a month"), "{refused}");
    reserve(0.1, november(31, 0)).expect("that is December");
    let policy = RoutingPolicy {
        max_usd_day: Some(1.0),
        ..RoutingPolicy::default()
    };
    let left = ledger.left(&policy, november(9, 0)).expect("read");
    assert_eq!((left.day, left.month), (Some(0.5), None));
}

#[test]
fn ten_cents_hold_ten_cents_and_not_one_more() {
    let (_folder, ledger) = fresh_ledger();
    let target = remote("groq");
    let caps = Caps {
        day: Some(0.1),
        ..Caps::default()
    };
    for _ in 0..10 {
        let cent = reservation(&target, 0.01, caps, november(1, 0));
        ledger.reserve(&cent).expect("fits");
    }
    let cheapest = reservation(&target, 3e-9, caps, november(1, 0));
    assert_eq!(ledger.reserve(&cheapest).expect_err("full").kind(), ErrorKind::Blocked);
}

#[test]
fn what_is_no_amount_is_refused_and_what_a_provider_claims_is_bounded() {
    let (_folder, ledger) = fresh_ledger();
    let target = remote("groq");
    for usd in [f64::NAN, f64::INFINITY, -0.01, 1e7] {
        let refused = ledger.reserve(&reservation(&target, usd, Caps::default(), november(1, 0)));
        assert_eq!(refused.expect_err("no amount").kind(), ErrorKind::InvalidRequest);
    }
    for usd in [f64::INFINITY, f64::MAX, f64::NAN, -5.0] {
        spend_as_claimed(&ledger, &target, usd);
    }
    assert_eq!(ledger.spent(november(1, 0)).expect("no sum overflows").day, 2e6);
}

fn spend_as_claimed(ledger: &Ledger, target: &RouteTarget, usd: f64) {
    let entry = ledger.reserve(&reservation(target, 0.0, Caps::default(), november(1, 0)));
    let settled = ledger.settle(
        entry.expect("reserved"),
        usd,
        &TokenUsage::default(),
        CostSource::Provider,
    );
    settled.expect("settled");
}

#[test]
fn a_report_sums_up_by_day_model_provider_and_purpose_and_separates_the_unsettled() {
    let (_folder, ledger) = fresh_ledger();
    spend(&ledger, &remote("groq"), "chat", 0.25, november(1, 23));
    spend(&ledger, &remote("openai"), "title", 0.5, november(2, 0));
    spend(&ledger, &local(), "chat", 0.0, november(2, 1));
    let groq = remote("groq");
    let open = ledger.reserve(&reservation(&groq, 2.0, Caps::default(), november(2, 2)));
    open.expect("reserved");

    let keys = |by| {
        let rows = ledger.report(None, None, by).expect("read");
        let row = |row: nearside::state::SpendingRow| (row.key, row.requests, row.usd, row.usd_unsettled);
        rows.into_iter().map(row).collect::<Vec<_>>()
    };
    let row = |key: &str, requests, usd, unsettled| (key.to_owned(), requests, usd, unsettled);
    let days = [row("2026-11-01", 1, 0.25, 0.0), row("2026-11-02", 3, 0.5, 2.0)];
    assert_eq!(keys(SpendingGroup::Day), days);
    let providers = [
        row("groq", 2, 0.25, 2.0),
        row("openai", 1, 0.5, 0.0),
        row("device", 1, 0.0, 0.0),
    ];
    assert_eq!(keys(SpendingGroup::Provider), providers);
    let models = [
        row("m at groq", 2, 0.25, 2.0),
        row("m at openai", 1, 0.5, 0.0),
        row("smol", 1, 0.0, 0.0),
    ];
    assert_eq!(keys(SpendingGroup::Model), models);
    let purposes = [row("chat", 3, 0.25, 2.0), row("title", 1, 0.5, 0.0)];
    assert_eq!(keys(SpendingGroup::Purpose), purposes);

    let days = |from, to| ledger.report(Some(from), to, SpendingGroup::Day).expect("read");
    let second = &days(november(2, 0), Some(november(2, 1)))[0];
    assert_eq!(second.requests, 1);
    assert_eq!((second.prompt_tokens, second.completion_tokens), (10, 5));
    assert_eq!(days(november(3, 0), None), []);
}

#[test]
fn eight_that_open_a_new_file_at_once_all_get_it_and_never_share_the_last_cent() {
    let folder = tempfile::tempdir().expect("a folder");
    let caps = Caps {
        day: Some(0.1),
        ..Caps::default()
    };
    let fitted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    // A separate connection, as in another process.
                    let ledger = Ledger::new(Arc::new(State::open_in(folder.path()).expect("opened")));
                    let target = remote("groq");
                    let once = || ledger.reserve(&reservation(&target, 0.01, caps, november(1, 0)));
                    (0..5).filter(|_| once().is_ok()).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("it ends")).sum()
    });
    assert_eq!(fitted, 10);
}

#[test]
fn a_file_that_is_damaged_or_newer_is_left_as_it_is_and_the_error_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.db");
    let noise: Vec<u8> = nearside_tests::tiny_models::noise(3).take(20_000).collect();
    fs::write(&path, &noise).expect("written");
    let refused = State::open_in(folder.path()).expect_err("damaged");
    assert_eq!(refused.kind(), ErrorKind::Storage);
    assert!(refused.to_string().contains("is damaged"), "{refused}");
    assert_eq!(fs::read(&path).expect("there"), noise);

    fs::remove_file(&path).expect("removed");
    drop(State::open_in(folder.path()).expect("anew"));
    let mut newer = fs::read(&path).expect("there");
    // SQLite stores the user version in four bytes at offset 60.
    newer[60..64].copy_from_slice(&1000_u32.to_be_bytes());
    fs::write(&path, &newer).expect("written");
    let refused = State::open_in(folder.path()).expect_err("newer");
    assert_eq!(refused.kind(), ErrorKind::Storage);
    assert!(refused.to_string().contains("newer version"), "{refused}");
    assert_eq!(fs::read(&path).expect("there"), newer);
}

#[test]
fn a_page_that_went_bad_is_an_error_where_it_is_read_and_nothing_is_written_over() {
    let (folder, state) = fresh();
    let ledger = Ledger::new(Arc::clone(&state));
    let purpose = "a purpose that takes some room in the file";
    for _ in 0..300 {
        spend(&ledger, &remote("groq"), purpose, 0.01, november(1, 0));
    }
    drop((ledger, state));
    let path = folder.path().join("state.db");
    let mut bytes = fs::read(&path).expect("there");
    let whole = bytes.len();
    bytes[8_192..].fill(0xff);
    fs::write(&path, &bytes).expect("written");
    let state = Arc::new(State::open_in(folder.path()).expect("its first pages are sound"));
    let spent = Ledger::new(Arc::clone(&state)).spent(november(1, 0));
    let refused = spent.expect_err("damaged");
    assert_eq!(refused.kind(), ErrorKind::Storage);
    assert!(refused.to_string().contains("is damaged"), "{refused}");
    drop(state);
    assert_eq!(fs::read(&path).expect("there").len(), whole);
}
