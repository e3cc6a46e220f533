//! Properties of the router over random facts, most of them absurd. Each property is checked from the facts and the
//! decision alone, without the router's own functions.
//!
//! Also measures (without asserting) a decision among 400 models, and compares `estimate::tokens` with real vocabularies.

#[path = "route_properties/worlds.rs"]
mod worlds;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use nearside::chat::{
    ChatMessage, ChatRequest, DataPolicy, Route, RouteEstimate, RouteRule, RouteTarget, RoutingMode, Sensitivity,
    SkippedTarget,
};
use nearside::device::{Connectivity, ThermalState};
use nearside::engine::remote::{ModelCapabilities, ProviderKind, RemoteModel, TokenPrice};
use nearside::model::FitVerdict;
use nearside::route::{
    ConsentPolicy, Facts, LocalCandidate, ModelListing, Needs, RemoteCandidate, RouteDecision, RoutingPolicy, Speed,
    TokenRange, choose, estimate,
};
use nearside_llama::{LoadMode, Model, ModelParams};
use nearside_tests::models;
use proptest::prelude::*;
use proptest::sample::Index;

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_promise_holds_in_every_world(
        needs in worlds::needs(),
        facts in worlds::facts(),
        policy in worlds::policy(),
        swaps in prop::collection::vec((any::<Index>(), any::<Index>()), 8),
    ) {
        let _alone = alone();
        let decision = choose(&needs, &facts, &policy);
        every_candidate_is_reported_once(&needs, &facts, &policy, &decision);
        for (target, needs_consent) in may_answer(&decision) {
            content_goes_where_allowed(&needs, &facts, &policy, target, needs_consent);
            every_target_is_able_to_answer(&needs, &facts, target);
            if let Some(remote) = remote(&facts, target) {
                no_cap_is_passed(&needs, &facts, &policy, remote);
            }
        }
        prop_assert_eq!(&choose(&needs, &facts, &policy), &decision, "the same facts, another answer");
        let mut shuffled = facts;
        for (a, b) in swaps {
            if !shuffled.locals.is_empty() {
                let count = shuffled.locals.len();
                shuffled.locals.swap(a.index(count), b.index(count));
            }
            if !shuffled.remotes.is_empty() {
                let count = shuffled.remotes.len();
                shuffled.remotes.swap(a.index(count), b.index(count));
            }
        }
        prop_assert_eq!(&choose(&needs, &shuffled, &policy), &decision, "another order, another answer");
    }
}

/// Returns a lock that every test holds, so that none runs during the measurement.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns every target that may answer, and whether it needs consent first.
fn may_answer(decision: &RouteDecision) -> Vec<(&RouteTarget, bool)> {
    let (route, needs_consent) = match decision {
        RouteDecision::Route { route } => (route, false),
        RouteDecision::NeedsConsent { question } => (&question.route, true),
        RouteDecision::NoRoute { .. } => return vec![],
    };
    let then = route.then.iter().map(|target| (target, false));
    std::iter::once((&route.target, needs_consent)).chain(then).collect()
}

fn remote<'a>(facts: &'a Facts, target: &RouteTarget) -> Option<&'a RemoteCandidate> {
    let RouteTarget::Remote { provider, model } = target else {
        return None;
    };
    let is = |remote: &&RemoteCandidate| remote.provider == *provider && remote.model.id == *model;
    Some(facts.remotes.iter().find(is).expect("an unknown target"))
}

fn every_candidate_is_reported_once(needs: &Needs, facts: &Facts, policy: &RoutingPolicy, decision: &RouteDecision) {
    let mut counts = BTreeMap::<RouteTarget, u32>::new();
    for (target, _) in may_answer(decision) {
        *counts.entry(target.clone()).or_default() += 1;
    }
    let (rule, reason, skipped) = match decision {
        RouteDecision::Route { route } => (&route.rule, &route.reason, &route.skipped),
        RouteDecision::NeedsConsent { question } => {
            assert_eq!(question.target, question.route.target);
            assert!(question.text.contains(&question.reason) && question.text.ends_with('?'));
            assert!(question.cost_usd.is_none_or(f64::is_finite));
            (&question.route.rule, &question.reason, &question.route.skipped)
        }
        RouteDecision::NoRoute {
            rule, detail, skipped, ..
        } => (rule, detail, skipped),
    };
    for skipped in skipped {
        *counts.entry(skipped.target.clone()).or_default() += 1;
        assert!(
            skipped.rule != RouteRule::PreviousFailed && !skipped.reason.is_empty(),
            "{skipped:?}"
        );
    }
    assert!(*rule != RouteRule::PreviousFailed && !reason.is_empty(), "{decision:?}");

    let locals = facts.locals.iter().map(|local| RouteTarget::Local {
        model: local.model.clone(),
    });
    let remotes = facts.remotes.iter().map(|remote| RouteTarget::Remote {
        provider: remote.provider.clone(),
        model: remote.model.id.clone(),
    });
    let all: BTreeMap<_, _> = locals.chain(remotes).map(|target| (target, 1)).collect();
    assert_eq!(counts, all);

    if let RouteDecision::Route { route } = decision {
        assert_eq!(route.policy, policy.version);
        assert!(route.then.len() <= 4);
        fallbacks_are_at_other_providers(needs, facts, route);
        let RouteEstimate {
            first_token_ms,
            total_ms,
            cost_usd,
        } = route.expected;
        // JSON cannot represent infinity.
        assert!(
            [first_token_ms, total_ms, cost_usd]
                .iter()
                .flatten()
                .all(|figure| figure.is_finite())
        );
    }
}

/// No provider is asked twice, nor more than one further model of this device; and where the mode allows it, a local
/// model that may answer is in hand.
fn fallbacks_are_at_other_providers(needs: &Needs, facts: &Facts, route: &Route) {
    let all: Vec<_> = std::iter::once(&route.target).chain(&route.then).collect();
    let mut providers: Vec<_> = all
        .iter()
        .filter_map(|target| match target {
            RouteTarget::Remote { provider, .. } => Some(provider),
            _ => None,
        })
        .collect();
    let locals = all.len() - providers.len();
    assert!(locals <= 2, "{all:?}");
    let count = providers.len();
    providers.sort_unstable();
    providers.dedup();
    assert_eq!(providers.len(), count, "{all:?}");
    let passed_over = |skipped: &&SkippedTarget| skipped.rule == RouteRule::Preference && !skipped.target.is_remote();
    let left = route.skipped.iter().filter(passed_over).count();
    assert!(left == 0 || locals > 0, "{all:?} of {facts:?} for {needs:?}");
}

fn content_goes_where_allowed(
    needs: &Needs,
    facts: &Facts,
    policy: &RoutingPolicy,
    target: &RouteTarget,
    needs_consent: bool,
) {
    if let Some(pinned) = &needs.pinned {
        assert_eq!(target, pinned);
    } else {
        let (provider, model) = match target {
            RouteTarget::Local { model } => (None, model),
            RouteTarget::Remote { provider, model } => (Some(provider), model),
            RouteTarget::Scripted => panic!("no script was offered"),
        };
        assert!(needs.model.as_ref().is_none_or(|named| named == model));
        assert!(needs.provider.is_none() || needs.provider.as_ref() == provider);
    }
    let Some(remote) = remote(facts, target) else {
        assert!(needs.mode != RoutingMode::OnlyInCloud);
        assert!(!needs_consent, "the device needs no consent");
        return;
    };
    assert!(needs.mode != RoutingMode::OnlyOnDevice && needs.sensitivity != Sensitivity::Sensitive);

    let terms = &remote.data_policy;
    let own = ["own server", "device"].contains(&&*terms.region) && !terms.retained && !terms.trained_on;
    assert!(!terms.retained || policy.allow_retention);
    assert!(!terms.trained_on || policy.allow_training);
    let is_excluded = |word: &str| policy.never.iter().any(|name| name == word);
    assert!(!is_excluded(&remote.provider) && !is_excluded(remote.kind.name()));
    assert!(policy.providers.is_empty() || policy.providers.contains(&remote.provider));
    if !policy.regions.is_empty() && !own {
        // Of the generated countries, only these two are members.
        let member = |country: &str| ["DE", "FR"].contains(&country) && policy.regions.contains(&"EU".into());
        for country in terms.region.split(',') {
            assert!(policy.regions.contains(&country.into()) || member(country), "{country}");
        }
    }
    if needs.sensitivity == Sensitivity::Personal && !own {
        let agreed = needs.consent.as_ref() == Some(target);
        match policy.consent {
            ConsentPolicy::Given => assert!(!needs_consent),
            ConsentPolicy::Ask => assert!(needs_consent != agreed),
            ConsentPolicy::Refused => panic!("sent in spite of a refusal"),
        }
    } else {
        assert!(!needs_consent);
    }
    assert!(facts.device.network != Connectivity::Offline || remote.is_nearby);
    assert!(facts.device.network != Connectivity::Metered || policy.allow_metered || remote.is_nearby);
    assert!(facts.device.local_network_allowed != Some(false) || !remote.needs_local_network);
}

fn every_target_is_able_to_answer(needs: &Needs, facts: &Facts, target: &RouteTarget) {
    let required = needs.required_prompt.unwrap_or(needs.prompt);
    let (abilities, context, prompt) = match remote(facts, target) {
        Some(remote) => {
            assert!(remote.has_key && remote.cooldown_ms.is_none() && remote.listing == ModelListing::Known);
            let retired = |date: &String| !date.is_empty() && *date <= facts.today;
            assert!(!remote.model.retires.as_ref().is_some_and(retired));
            (remote.model.abilities, remote.model.context, required.high)
        }
        None => {
            let is = |local: &&LocalCandidate| matches!(target, RouteTarget::Local { model } if *model == local.model);
            let local = facts.locals.iter().find(is).expect("an unknown model");
            let device = &facts.device;
            let uneasy = device.memory_pressure || device.low_power || device.heat >= ThermalState::Serious;
            assert!(local.verdict == Ok(FitVerdict::Fits) || local.verdict == Ok(FitVerdict::Tight) && !uneasy);
            // The local engine counts the prompt itself before it answers.
            (Some(local.abilities), Some(local.context), required.low)
        }
    };
    let answer = |context: u32| needs.completion.high.min(64).min(context / 4);
    assert!(context.is_none_or(|context| u64::from(prompt) + u64::from(answer(context)) <= u64::from(context)));
    let wanted = needs.abilities;
    assert!(abilities.is_none_or(|can| {
        can.tools >= wanted.tools
            && can.images >= wanted.images
            && can.json_schema >= wanted.json_schema
            && can.web_search >= wanted.web_search
    }));
}

fn no_cap_is_passed(needs: &Needs, facts: &Facts, policy: &RoutingPolicy, remote: &RemoteCandidate) {
    let caps = [
        needs.max_usd.map(|cap| (cap, 0.0)),
        policy.max_usd_request.map(|cap| (cap, 0.0)),
        policy.max_usd_day.map(|cap| (cap, facts.spent.day)),
        policy.max_usd_month.map(|cap| (cap, facts.spent.month)),
    ];
    for (cap, spent) in caps.into_iter().flatten() {
        let Some(price) = &remote.model.price else {
            assert!(remote.data_policy.region == "own server" || remote.data_policy.region == "device");
            continue;
        };
        // A conversation is cut to the context.
        let held = needs.required_prompt.and(remote.model.context).unwrap_or(u32::MAX);
        let longest = needs.completion.high.min(remote.model.max_output.unwrap_or(u32::MAX));
        let tokens = f64::from(needs.prompt.high.min(held)) * price.usd_in + f64::from(longest) * price.usd_out;
        let worst = price.usd_request + tokens / 1e6;
        // NaN fails this comparison.
        assert!(
            worst == 0.0 || worst <= cap - spent,
            "{worst} of {cap}, and {spent} are spent"
        );
        assert!(price.usd_in >= 0.0 && price.usd_out >= 0.0 && price.usd_request >= 0.0);
    }
}

#[test]
fn a_decision_among_400_models_is_measured() {
    let _alone = alone();
    let remotes: Vec<_> = (0..400)
        .map(|at| RemoteCandidate {
            provider: ["openrouter", "groq", "fireworks", "openai"][at % 4].into(),
            kind: ProviderKind::Compatible,
            model: RemoteModel {
                id: format!("maker-{}/model-{at}-instruct", at % 37),
                context: Some(8_192 << (at % 5)),
                abilities: (at % 7 != 0).then(|| ModelCapabilities {
                    tools: at % 3 != 0,
                    ..ModelCapabilities::default()
                }),
                price: (at % 13 != 0).then(|| TokenPrice {
                    usd_in: at as f64 / 100.0,
                    usd_out: at as f64 / 25.0,
                    ..TokenPrice::default()
                }),
                ..RemoteModel::default()
            },
            has_key: at % 11 != 0,
            cooldown_ms: None,
            is_nearby: false,
            needs_local_network: false,
            is_default: at < 4,
            listing: ModelListing::Known,
            data_policy: DataPolicy {
                region: ["US", "DE,FR", "unknown", "CN"][at % 4].into(),
                retained: at % 5 == 0,
                ..DataPolicy::default()
            },
            quality: (at % 10) as f64,
            speed: Speed::default(),
        })
        .collect();
    let facts = Facts {
        remotes,
        today: "2026-11-22".into(),
        ..Facts::default()
    };
    let open = RoutingPolicy {
        allow_retention: true,
        ..RoutingPolicy::default()
    };
    let strict = RoutingPolicy {
        regions: vec!["EU".into(), "US".into()],
        max_usd_day: Some(0.02),
        prefer_fast: true,
        ..RoutingPolicy::default()
    };
    let tokens = TokenRange {
        low: 500,
        likely: 1_000,
        high: 2_000,
    };
    let needs = |sensitivity| Needs {
        mode: RoutingMode::PreferInCloud,
        sensitivity,
        prompt: tokens,
        completion: tokens,
        ..Needs::default()
    };
    let public = needs(Sensitivity::Public);
    let personal = needs(Sensitivity::Personal);
    for (what, needs, policy) in [
        ("allowed nearly everywhere", &public, &open),
        ("with consent", &personal, &open),
        ("under a strict policy", &personal, &strict),
    ] {
        let mut micros: Vec<_> = (0..2_000)
            .map(|_| {
                let start = Instant::now();
                let decision = choose(needs, &facts, policy);
                let took = start.elapsed().as_secs_f64() * 1e6;
                assert!(!may_answer(&decision).is_empty());
                took
            })
            .collect();
        micros.sort_by(f64::total_cmp);
        println!(
            "400 models, {what}: p50 {:.0} µs, p99 {:.0} µs",
            micros[1_000], micros[1_980]
        );
    }
}

#[test]
fn what_real_vocabularies_count_lies_between_the_bounds() {
    let _alone = alone();
    let params = ModelParams {
        load_mode: LoadMode::Mapped,
        ..ModelParams::default()
    };
    let of = |text: &str| estimate::tokens(&ChatRequest::new(vec![ChatMessage::user(text)])).0;
    let empty = of("");
    for file in ["smollm2.gguf", "r1-7b.gguf"] {
        let model = Model::load(&models::path(file), &params, &mut |_| true).unwrap();
        for text in TEXTS {
            let counted = model.tokenize(text, false, false).unwrap().len() as u32;
            let estimated = of(text);
            let (low, high) = (estimated.low - empty.low, estimated.high - empty.high);
            assert!(
                (low..=high).contains(&counted),
                "{file}: {counted} and not {low} to {high}: {text}"
            );
        }
    }
}

/// Texts as people and programs write them.
const TEXTS: [&str; 18] = [
    "The tide rises because the moon pulls the near side of the ocean a little harder than the centre of the earth.",
    "fn main() {\n    let sum: u64 = (1..=10).map(|n| n * n).sum();\n    println!(\"{sum}\");\n}\n",
    r#"{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer","maximum":14}}}"#,
    "31 41 59 26 53 58 97 93 23 84 62 64 33 83 27 95 02 88 41 97 16 93 99 37 51 05 82 09 74 94 45",
    "TmVhcnNpZGUgcnVucyBsYW5ndWFnZSBtb2RlbHMgb24gdGhlIGRldmljZSBpbiB5b3VyIGhhbmQu",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "潮汐每天涨落两次，因为月球对海洋近侧的引力略大于对地心的引力。",
    "潮の満ち引きは、月の引力が海の近い側をより強く引くために起こります。",
    "밀물과 썰물은 달의 인력이 바다의 가까운 쪽을 더 세게 끌어당기기 때문에 일어납니다.",
    "Прилив поднимается потому, что луна притягивает ближнюю сторону океана немного сильнее.",
    "Η παλίρροια ανεβαίνει επειδή η σελήνη έλκει την κοντινή πλευρά του ωκεανού λίγο πιο δυνατά.",
    "يرتفع المد لأن القمر يجذب الجانب القريب من المحيط أكثر قليلا من مركز الأرض",
    "ज्वार इसलिए आता है क्योंकि चंद्रमा समुद्र के पास वाले हिस्से को थोड़ा अधिक खींचता है",
    "น้ำขึ้นเพราะดวงจันทร์ดึงดูดด้านใกล้ของมหาสมุทรแรงกว่าใจกลางโลกเล็กน้อย",
    "Die Flut steigt, weil der Mond die nahe Seite des Ozeans ein wenig stärker anzieht, überall größer.",
    "La marée monte parce que la lune attire le côté proche de l'océan un peu plus fort, c'est-à-dire là où l'été",
    "😀🎉🚀👩‍👩‍👧‍👦🇩🇪🏳️‍🌈🤷🏽‍♀️",
    "#$%^&*()[]{};':\",./<>?~`|\\ \t\n\n\n   ----------",
];
