//! Parses the routing table. The top of `table.txt` explains the notation; an unknown word panics with its line, so that no
//! row passes by being misread.

use std::collections::BTreeMap;

use nearside::ErrorReason;
use nearside::chat::{DataPolicy, RouteTarget, RoutingMode, Sensitivity};
use nearside::device::{Connectivity, ThermalState};
use nearside::engine::remote::{ModelCapabilities, ProviderKind, RemoteModel, TokenPrice};
use nearside::model::FitVerdict;
use nearside::route::{
    CandidateError, ConsentPolicy, Facts, LocalCandidate, ModelListing, Needs, RemoteCandidate, RoutingPolicy, Speed,
    TokenRange,
};

/// A row: a situation and the expected decision.
pub(crate) struct Row {
    pub(crate) line: usize,
    pub(crate) when: String,
    pub(crate) situation: Situation,
    pub(crate) outcome: String,
    pub(crate) rule: String,
    pub(crate) then: String,
    pub(crate) skipped: String,
    /// Text that one of the reasons must contain; may be empty.
    pub(crate) says: String,
}

/// A situation.
#[derive(Clone, Default)]
pub(crate) struct Situation {
    pub(crate) needs: Needs,
    pub(crate) facts: Facts,
    pub(crate) policy: RoutingPolicy,
    /// The table's names of the candidates.
    pub(crate) names: BTreeMap<String, RouteTarget>,
}

#[derive(Clone)]
enum Candidate {
    Local(LocalCandidate),
    Remote(Box<RemoteCandidate>),
}

/// Parses all rows of the table.
pub(crate) fn rows(table: &str) -> Vec<Row> {
    let mut known = BTreeMap::new();
    let mut worlds = BTreeMap::new();
    let mut section = (Situation::default(), String::new());
    let mut rows = vec![];
    for (number, line) in table.lines().enumerate() {
        let at = |why: String| -> ! { panic!("table.txt, line {}: {why}", number + 1) };
        let line = line.split('#').next().unwrap_or_default().trim();
        let (head, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match head {
            _ if line.contains('|') => {
                let mut cells = line
                    .split('|')
                    .map(|cell| cell.split_whitespace().collect::<Vec<_>>().join(" "));
                let mut cell = || cells.next().unwrap_or_default();
                let (when, outcome, rule, then, skipped, says) = (cell(), cell(), cell(), cell(), cell(), cell());
                let mut situation = section.0.clone();
                for words in [&section.1, &when] {
                    situation.apply_all(words).unwrap_or_else(|why| at(why));
                }
                rows.push(Row {
                    line: number + 1,
                    when,
                    situation,
                    outcome,
                    rule,
                    then,
                    skipped: sorted_groups(&skipped),
                    says,
                });
            }
            "" => {}
            "candidate" => {
                let (name, candidate) = candidate(rest).unwrap_or_else(|why| at(why));
                known.insert(name, candidate);
            }
            "world" => {
                let (name, names) = rest.split_once(':').unwrap_or_else(|| at("a world has members".into()));
                let mut situation = Situation::default();
                situation.needs.prompt = exactly(1000);
                situation.needs.completion = exactly(1000);
                situation.facts.today = "2026-11-22".into();
                for name in names.split_whitespace() {
                    let candidate = known.get(name).unwrap_or_else(|| at(format!("who is `{name}`?")));
                    situation.add(name, candidate.clone());
                }
                worlds.insert(name.trim().to_owned(), situation);
            }
            "in" => {
                let (world, given) = rest.split_once(':').unwrap_or((rest, ""));
                let situation = worlds
                    .get(world.trim())
                    .unwrap_or_else(|| at(format!("where is `{world}`?")));
                section = (situation.clone(), given.trim().to_owned());
            }
            _ => at(format!("`{head}` is not understood")),
        }
    }
    rows
}

/// Sorts groups and names of `a: x y; b: z`, so that their order in the table does not matter.
pub(crate) fn sorted_groups(text: &str) -> String {
    let mut groups: Vec<_> = text
        .split(';')
        .filter_map(|group| group.split_once(':'))
        .map(|(rule, names)| {
            let mut names: Vec<_> = names.split_whitespace().collect();
            names.sort_unstable();
            format!("{}: {}", rule.trim(), names.join(" "))
        })
        .collect();
    groups.sort_unstable();
    if groups.is_empty() {
        "-".to_owned()
    } else {
        groups.join("; ")
    }
}

impl Situation {
    fn add(&mut self, name: &str, candidate: Candidate) {
        let target = match candidate {
            Candidate::Local(local) => {
                let model = local.model.clone();
                self.facts.locals.push(local);
                RouteTarget::Local { model }
            }
            Candidate::Remote(remote) => {
                let (provider, model) = (remote.provider.clone(), remote.model.id.clone());
                self.facts.remotes.push(*remote);
                RouteTarget::Remote { provider, model }
            }
        };
        self.names.insert(name.to_owned(), target);
    }

    fn apply_all(&mut self, words: &str) -> Result<(), String> {
        words.split_whitespace().try_for_each(|word| self.apply(word))
    }

    fn apply(&mut self, word: &str) -> Result<(), String> {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        if let Some((name, field)) = key.split_once('.') {
            return self.apply_to(name, field, value);
        }
        let place = self.target(value);
        let Self {
            needs, facts, policy, ..
        } = self;
        let device = &mut facts.device;
        match (key, value) {
            ("only-here", "") => needs.mode = RoutingMode::OnlyOnDevice,
            ("prefer-here", "") => needs.mode = RoutingMode::PreferOnDevice,
            ("prefer-cloud", "") => needs.mode = RoutingMode::PreferInCloud,
            ("only-cloud", "") => needs.mode = RoutingMode::OnlyInCloud,
            ("public", "") => needs.sensitivity = Sensitivity::Public,
            ("personal", "") => needs.sensitivity = Sensitivity::Personal,
            ("sensitive", "") => needs.sensitivity = Sensitivity::Sensitive,
            ("model", name) => needs.model = Some(name.into()),
            ("provider", name) => needs.provider = Some(name.into()),
            ("prompt", count) => needs.prompt = exactly(number(count)? as u32),
            ("answer", count) => needs.completion = exactly(number(count)? as u32),
            ("answer-likely", count) => needs.completion.likely = number(count)? as u32,
            ("prompt-likely", count) => needs.prompt.likely = number(count)? as u32,
            ("prompt-low", count) => needs.prompt.low = number(count)? as u32,
            ("needs", list) => needs.abilities = abilities(list)?,
            ("max", usd) => needs.max_usd = Some(number(usd)?),
            ("agreed", _) => needs.consent = Some(place?),
            ("pinned", _) => needs.pinned = Some(place?),
            ("regions", list) => policy.regions = names(list),
            ("keep-ok", "") => policy.allow_retention = true,
            ("train-ok", "") => policy.allow_training = true,
            ("providers", list) => policy.providers = names(list),
            ("never", list) => policy.never = names(list),
            ("consent", "ask") => policy.consent = ConsentPolicy::Ask,
            ("consent", "given") => policy.consent = ConsentPolicy::Given,
            ("consent", "refused") => policy.consent = ConsentPolicy::Refused,
            ("cap", usd) => policy.max_usd_request = Some(number(usd)?),
            ("day", usd) => policy.max_usd_day = Some(number(usd)?),
            ("month", usd) => policy.max_usd_month = Some(number(usd)?),
            ("no-metered", "") => policy.allow_metered = false,
            ("fast", "") => policy.prefer_fast = true,
            ("spent-day", usd) => facts.spent.day = number(usd)?,
            ("spent-month", usd) => facts.spent.month = number(usd)?,
            ("today", date) => facts.today = date.into(),
            ("offline", "") => device.network = Connectivity::Offline,
            ("no-lan", "") => device.local_network_allowed = Some(false),
            ("metered", "") => device.network = Connectivity::Metered,
            ("unmetered", "") => device.network = Connectivity::Unmetered,
            ("battery", percent) => device.battery_percent = Some(number(percent)? as u32),
            ("low-power", "") => device.low_power = true,
            ("pressure", "") => device.memory_pressure = true,
            ("fair", "") => device.heat = ThermalState::Fair,
            ("serious", "") => device.heat = ThermalState::Serious,
            ("critical", "") => device.heat = ThermalState::Critical,
            ("without", list) => {
                for name in names(list) {
                    let target = self.target(&name)?;
                    self.facts.locals.retain(|local| local_target(local) != target);
                    self.facts.remotes.retain(|remote| remote_target(remote) != target);
                }
            }
            _ => return Err(format!("`{word}` is not understood")),
        }
        Ok(())
    }

    fn apply_to(&mut self, name: &str, field: &str, value: &str) -> Result<(), String> {
        let target = self.target(name)?;
        let Facts { locals, remotes, .. } = &mut self.facts;
        if let Some(local) = locals.iter_mut().find(|local| local_target(local) == target) {
            set_local(local, field, value)
        } else if let Some(remote) = remotes.iter_mut().find(|remote| remote_target(remote) == target) {
            set_remote(remote, field, value)
        } else {
            Err(format!("`{name}` is not here any more"))
        }
    }

    fn target(&self, name: &str) -> Result<RouteTarget, String> {
        self.names.get(name).cloned().ok_or_else(|| format!("who is `{name}`?"))
    }
}

fn local_target(local: &LocalCandidate) -> RouteTarget {
    let model = local.model.clone();
    RouteTarget::Local { model }
}

fn remote_target(remote: &RemoteCandidate) -> RouteTarget {
    let (provider, model) = (remote.provider.clone(), remote.model.id.clone());
    RouteTarget::Remote { provider, model }
}

/// Parses `NAME here WORDS` or `NAME at PROVIDER WORDS`, with words `FIELD=VALUE`.
fn candidate(text: &str) -> Result<(String, Candidate), String> {
    let mut words = text.split_whitespace();
    let name = words.next().unwrap_or_default().to_owned();
    let mut candidate = match words.next() {
        Some("here") => Candidate::Local(LocalCandidate {
            model: name.clone(),
            verdict: Ok(FitVerdict::Fits),
            context: 0,
            abilities: ModelCapabilities::default(),
            quality: 0.0,
            speed: Speed::default(),
        }),
        Some("at") => Candidate::Remote(Box::new(RemoteCandidate {
            provider: words.next().unwrap_or_default().to_owned(),
            kind: ProviderKind::Compatible,
            model: RemoteModel {
                id: name.clone(),
                ..RemoteModel::default()
            },
            has_key: true,
            cooldown_ms: None,
            is_nearby: false,
            needs_local_network: false,
            is_default: false,
            listing: ModelListing::Known,
            data_policy: DataPolicy::default(),
            quality: 0.0,
            speed: Speed::default(),
        })),
        _ => return Err("a candidate is `here` or `at` a provider".into()),
    };
    for word in words {
        let (field, value) = word.split_once('=').unwrap_or((word, ""));
        match &mut candidate {
            Candidate::Local(local) => set_local(local, field, value)?,
            Candidate::Remote(remote) => set_remote(remote, field, value)?,
        }
    }
    Ok((name, candidate))
}

fn set_local(local: &mut LocalCandidate, field: &str, value: &str) -> Result<(), String> {
    match (field, value) {
        ("model", model) => local.model = model.into(),
        ("fits", "") => local.verdict = Ok(FitVerdict::Fits),
        ("tight", "") => local.verdict = Ok(FitVerdict::Tight),
        ("too-large", "") => local.verdict = Ok(FitVerdict::TooLarge),
        ("broken", "") => local.verdict = Err(broken("it is damaged; download it again", ErrorReason::Damaged)),
        ("context", count) => local.context = number(count)? as u32,
        ("can", list) => local.abilities = abilities(list)?,
        ("quality", figure) => local.quality = number(figure)?,
        _ => return set_speed(&mut local.speed, field, value),
    }
    Ok(())
}

/// An error that excludes a candidate.
fn broken(text: &str, reason: ErrorReason) -> CandidateError {
    CandidateError {
        kind: reason.usual_kind(),
        reason,
        detail: text.to_owned(),
        retry_after_ms: None,
    }
}

fn set_remote(remote: &mut RemoteCandidate, field: &str, value: &str) -> Result<(), String> {
    let terms = &mut remote.data_policy;
    match (field, value) {
        ("model", model) => remote.model.id = model.into(),
        ("kind", kind) => remote.kind = ProviderKind::from_name(kind).ok_or("no kind of provider")?,
        ("unverified", "") => remote.listing = ModelListing::Unverified { error: None },
        ("list-failed", "") => {
            let error = Some(broken("the key is wrong; set another", ErrorReason::KeyRejected));
            remote.listing = ModelListing::Unverified { error };
        }
        ("unlisted", "") => remote.listing = ModelListing::Unlisted,
        ("no-key", "") => remote.has_key = false,
        ("failing", "") => remote.cooldown_ms = Some(30_000),
        ("default", "") => remote.is_default = true,
        ("not-default", "") => remote.is_default = false,
        ("context", "unknown") => remote.model.context = None,
        ("context", count) => remote.model.context = Some(number(count)? as u32),
        ("can", "unknown") => remote.model.abilities = None,
        ("can", list) => remote.model.abilities = Some(abilities(list)?),
        ("price", "unknown") => remote.model.price = None,
        ("price", price) => remote.model.price = Some(self::price(price)?),
        ("retires", date) => remote.model.retires = Some(date.into()),
        ("own", "") => (*terms, remote.is_nearby) = (DataPolicy::own_server(), true),
        ("own-lan", "") => {
            *terms = DataPolicy::own_server();
            (remote.is_nearby, remote.needs_local_network) = (true, true);
        }
        ("own-far", "") => (*terms, remote.is_nearby) = (DataPolicy::own_server(), false),
        ("unknown-terms", "") => *terms = DataPolicy::unknown(),
        ("region", region) => terms.region = region.into(),
        ("keeps", "") => terms.retained = true,
        ("trains", "") => terms.trained_on = true,
        ("quality", figure) => remote.quality = number(figure)?,
        _ => return set_speed(&mut remote.speed, field, value),
    }
    Ok(())
}

fn set_speed(speed: &mut Speed, field: &str, value: &str) -> Result<(), String> {
    let figure = if value == "unknown" { None } else { Some(number(value)?) };
    match field {
        "prefill" => speed.prompt_tokens_per_second = figure,
        "rate" => speed.tokens_per_second = figure,
        "first" => speed.first_token_ms = figure,
        _ => return Err(format!("`{field}` is not understood")),
    }
    Ok(())
}

/// Parses `IN/OUT` or `IN/OUT/REQUEST` in US dollars.
fn price(text: &str) -> Result<TokenPrice, String> {
    let parts = text.split('/').map(number).collect::<Result<Vec<_>, _>>()?;
    let [usd_in, usd_out, rest @ ..] = &parts[..] else {
        return Err(format!("`{text}` is no price"));
    };
    Ok(TokenPrice {
        usd_in: *usd_in,
        usd_out: *usd_out,
        usd_request: rest.first().copied().unwrap_or(0.0),
        ..TokenPrice::default()
    })
}

fn abilities(list: &str) -> Result<ModelCapabilities, String> {
    let mut abilities = ModelCapabilities::default();
    for name in names(list) {
        match &*name {
            "tools" => abilities.tools = true,
            "images" => abilities.images = true,
            "schema" => abilities.json_schema = true,
            "thinking" => abilities.reasoning = true,
            "search" => abilities.web_search = true,
            "nothing" => {}
            _ => return Err(format!("who can `{name}`?")),
        }
    }
    Ok(abilities)
}

fn exactly(count: u32) -> TokenRange {
    TokenRange {
        low: count,
        likely: count,
        high: count,
    }
}

fn names(list: &str) -> Vec<String> {
    list.split(',').map(str::to_owned).collect()
}

fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}
