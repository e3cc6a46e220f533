//! Random needs, facts and policies. Names, regions, prices and dates come from few values, so that they coincide; one
//! figure in ten is invalid.

use nearside::chat::{DataPolicy, RouteTarget, RoutingMode, Sensitivity};
use nearside::device::{Connectivity, DeviceFacts, ThermalState};
use nearside::engine::remote::{ModelCapabilities, ProviderKind, RemoteModel, TokenPrice};
use nearside::model::FitVerdict;
use nearside::route::{
    CandidateError, ConsentPolicy, Facts, LocalCandidate, ModelListing, Needs, RemoteCandidate, RoutingPolicy, Speed,
    SpendingTotals, TokenRange,
};
use nearside::{ErrorKind, ErrorReason};
use proptest::prelude::*;
use proptest::sample::select;

pub(crate) fn needs() -> impl Strategy<Value = Needs> {
    let words = (mode(), sensitivity(), abilities(), tokens(), tokens());
    let named = (rarely(name()), rarely(name()), rarely(target()), rarely(target()));
    (words, named, prop::option::of(dollars())).prop_map(
        |((mode, sensitivity, abilities, prompt, completion), (model, provider, consent, pinned), max_usd)| Needs {
            mode,
            sensitivity,
            model,
            provider,
            prompt,
            // Of every second prompt, half may be omitted.
            required_prompt: (prompt.low % 2 == 0).then_some(TokenRange {
                low: prompt.low / 2,
                likely: prompt.likely / 2,
                high: prompt.high / 2,
            }),
            completion,
            abilities,
            max_tokens: None,
            max_usd,
            consent,
            pinned,
        },
    )
}

pub(crate) fn facts() -> impl Strategy<Value = Facts> {
    let locals = prop::collection::vec(local(), 0..5);
    let remotes = prop::collection::vec(remote(), 0..9);
    (locals, remotes, device(), dollars(), dollars(), date()).prop_map(
        |(mut locals, mut remotes, device, day, month, today)| {
            // Facts list each target once.
            locals.sort_by(|a, b| a.model.cmp(&b.model));
            locals.dedup_by(|a, b| a.model == b.model);
            remotes.sort_by(|a, b| (&a.provider, &a.model.id).cmp(&(&b.provider, &b.model.id)));
            remotes.dedup_by(|a, b| (&a.provider, &a.model.id) == (&b.provider, &b.model.id));
            Facts {
                locals,
                remotes,
                device,
                spent: SpendingTotals { day, month },
                today,
            }
        },
    )
}

pub(crate) fn policy() -> impl Strategy<Value = RoutingPolicy> {
    let words = (regions(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let providers = (
        names(),
        names(),
        select(vec![ConsentPolicy::Ask, ConsentPolicy::Given, ConsentPolicy::Refused]),
    );
    let caps = [
        prop::option::of(dollars()),
        prop::option::of(dollars()),
        prop::option::of(dollars()),
    ];
    (words, providers, caps).prop_map(|(words, (providers, never, consent), [request, day, month])| {
        let (regions, allow_retention, allow_training, allow_metered, prefer_fast) = words;
        RoutingPolicy {
            version: "drawn".into(),
            regions,
            allow_retention,
            allow_training,
            providers,
            never,
            consent,
            max_usd_request: request,
            max_usd_day: day,
            max_usd_month: month,
            allow_metered,
            prefer_fast,
        }
    })
}

fn local() -> impl Strategy<Value = LocalCandidate> {
    let verdict = select(vec![
        Ok(FitVerdict::Fits),
        Ok(FitVerdict::Fits),
        Ok(FitVerdict::Tight),
        Ok(FitVerdict::TooLarge),
        Err(CandidateError {
            kind: ErrorKind::Corrupt,
            reason: ErrorReason::Damaged,
            detail: "it is damaged; download it again".into(),
            retry_after_ms: None,
        }),
    ]);
    (name(), verdict, count(), abilities(), figure(), speed()).prop_map(
        |(model, verdict, context, abilities, quality, speed)| LocalCandidate {
            model,
            verdict,
            context,
            abilities,
            quality,
            speed,
        },
    )
}

fn remote() -> impl Strategy<Value = RemoteCandidate> {
    let who = (
        (name(), select(ProviderKind::ALL.to_vec())),
        name(),
        prop::bool::weighted(0.9),
        prop::bool::weighted(0.1),
        any::<bool>(),
        prop::bool::weighted(0.05),
        (prop::bool::weighted(0.2), prop::bool::weighted(0.2)),
    );
    let what = (
        prop::option::of(count()),
        prop::option::of(abilities()),
        prop::option::of(price()),
    );
    (who, what, rarely(date()), terms(), figure(), speed()).prop_map(
        |(who, (context, abilities, price), retires, data_policy, quality, speed)| {
            let ((provider, kind), id, has_key, circuit_open, is_default, unverified, path) = who;
            let (is_nearby, needs_local_network) = path;
            let listing = match unverified {
                false => ModelListing::Known,
                true if is_default => ModelListing::Unlisted,
                true => ModelListing::Unverified { error: None },
            };
            let cooldown_ms = circuit_open.then_some(30_000);
            RemoteCandidate {
                kind,
                provider,
                model: RemoteModel {
                    name: id.clone(),
                    id,
                    context,
                    abilities,
                    price,
                    retires,
                    ..RemoteModel::default()
                },
                has_key,
                cooldown_ms,
                is_nearby,
                needs_local_network,
                is_default,
                listing,
                data_policy,
                quality,
                speed,
            }
        },
    )
}

fn terms() -> impl Strategy<Value = DataPolicy> {
    let regions = vec![
        "US",
        "DE",
        "DE,FR",
        "CN",
        "US,DE",
        "unknown",
        "",
        "own server",
        "device",
        "EU",
        ",",
    ];
    (select(regions), prop::bool::weighted(0.2), prop::bool::weighted(0.2)).prop_map(
        |(region, retained, trained_on)| DataPolicy {
            region: region.into(),
            retained,
            trained_on,
            ..DataPolicy::default()
        },
    )
}

fn regions() -> impl Strategy<Value = Vec<String>> {
    let lists: [&[&str]; 6] = [&[], &[], &["US"], &["EU"], &["US", "EU"], &[""]];
    select(
        lists
            .map(|list| list.iter().map(|region| (*region).to_owned()).collect())
            .to_vec(),
    )
}

fn device() -> impl Strategy<Value = DeviceFacts> {
    let network = select(vec![
        Connectivity::Unknown,
        Connectivity::Unmetered,
        Connectivity::Metered,
        Connectivity::Offline,
    ]);
    let heat = select(vec![
        ThermalState::Nominal,
        ThermalState::Fair,
        ThermalState::Serious,
        ThermalState::Critical,
    ]);
    let battery = prop::option::of(0..=100_u32);
    let allowed = prop::option::of(any::<bool>());
    (network, allowed, heat, battery, any::<bool>(), any::<bool>()).prop_map(
        |(network, local_network_allowed, heat, battery_percent, low_power, memory_pressure)| DeviceFacts {
            memory_available: None,
            network,
            local_network_allowed,
            battery_percent,
            low_power,
            heat,
            memory_pressure,
        },
    )
}

fn price() -> impl Strategy<Value = TokenPrice> {
    (dollars(), dollars(), prop_oneof![4 => Just(0.0), 1 => dollars()]).prop_map(|(usd_in, usd_out, usd_request)| {
        TokenPrice {
            usd_in,
            usd_out,
            usd_request,
            ..TokenPrice::default()
        }
    })
}

fn speed() -> impl Strategy<Value = Speed> {
    let figure = || prop::option::of(figure());
    (figure(), figure(), figure()).prop_map(|(prefill, rate, first)| Speed {
        prompt_tokens_per_second: prefill,
        tokens_per_second: rate,
        first_token_ms: first,
    })
}

fn abilities() -> impl Strategy<Value = ModelCapabilities> {
    prop::array::uniform5(prop::bool::weighted(0.3)).prop_map(|[tools, images, json_schema, reasoning, web_search]| {
        ModelCapabilities {
            tools,
            images,
            json_schema,
            reasoning,
            web_search,
        }
    })
}

fn target() -> impl Strategy<Value = RouteTarget> {
    prop_oneof![
        1 => name().prop_map(|model| RouteTarget::Local { model }),
        3 => (name(), name()).prop_map(|(provider, model)| RouteTarget::Remote { provider, model }),
    ]
}

fn tokens() -> impl Strategy<Value = TokenRange> {
    [count(), count(), count()].prop_map(|mut counts| {
        counts.sort_unstable();
        let [low, likely, high] = counts;
        TokenRange { low, likely, high }
    })
}

fn count() -> impl Strategy<Value = u32> {
    prop_oneof![6 => 0..4_000_u32, 3 => 4_000..200_000_u32, 1 => select(vec![0, 1, u32::MAX - 1, u32::MAX])]
}

/// Dollars, most of them in a range where caps and prices interact.
fn dollars() -> impl Strategy<Value = f64> {
    prop_oneof![6 => 0.0..5.0, 3 => select(vec![0.0, 0.01, 1.0, 100.0]), 1 => absurd()]
}

fn figure() -> impl Strategy<Value = f64> {
    prop_oneof![4 => 0.0..100.0, 4 => select(vec![0.0, 1.0, 5.0, 20_000.0]), 1 => absurd()]
}

fn absurd() -> impl Strategy<Value = f64> {
    select(vec![
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -1.0,
        -0.0,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
    ])
}

/// Few values, so that they coincide.
fn name() -> impl Strategy<Value = String> {
    select(vec!["a", "b", "c", ""]).prop_map(str::to_owned)
}

fn names() -> impl Strategy<Value = Vec<String>> {
    prop_oneof![3 => Just(vec![]), 1 => prop::collection::vec(prop_oneof![4 => name(), 1 => kind()], 0..3)]
}

fn kind() -> impl Strategy<Value = String> {
    select(ProviderKind::ALL.to_vec()).prop_map(|kind| kind.name().to_owned())
}

fn date() -> impl Strategy<Value = String> {
    select(vec![
        "",
        "2026-11-21",
        "2026-11-22",
        "2026-11-23",
        "soon",
        "日付のない日付",
    ])
    .prop_map(str::to_owned)
}

fn mode() -> impl Strategy<Value = RoutingMode> {
    select(vec![
        RoutingMode::OnlyOnDevice,
        RoutingMode::PreferOnDevice,
        RoutingMode::PreferInCloud,
        RoutingMode::OnlyInCloud,
    ])
}

fn sensitivity() -> impl Strategy<Value = Sensitivity> {
    select(vec![Sensitivity::Public, Sensitivity::Personal, Sensitivity::Sensitive])
}

fn rarely<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    prop::option::weighted(0.15, strategy)
}
