//! Data policies of remote targets: region, retention and training.
//!
//! The policy of a model that a server forwards is unknown. Otherwise, the app's statement takes precedence, then
//! ownership (stated, or by the address), then the dated table. Unknown counts as retained and trained on, anywhere.

use serde_json::Value;

pub(crate) use super::provider_table::search_usd;
pub use super::provider_table::{ModelFacts, default_model, model_facts};

use super::policy::{ConsentPolicy, RoutingPolicy};
use super::provider_table::entry;
use super::rules::{forbidden, in_regions};
use crate::chat::{DataPolicy, RouteTarget, Sensitivity};
use crate::engine::remote::{ProviderKind, ProviderSettings, RemoteModel, Upstreams, base_url, is_own_server};
use crate::error::{Error, ErrorReason, Result};
use crate::net::url::is_loopback;

/// Returns the data policy of a provider's model. The table's entry for OpenRouter is the worst case of its upstreams;
/// [`upstreams`] narrows it by the routing policy.
pub fn terms(settings: &ProviderSettings, model: &RemoteModel) -> DataPolicy {
    if model.proxied {
        // Even if the app states a data policy: it is the server's, and the content goes on from there.
        return DataPolicy::forwarded();
    }
    if let Some(stated) = &settings.data_policy {
        return stated.clone();
    }
    if is_own_server(settings) {
        return DataPolicy::own_server();
    }
    hosted(settings).unwrap_or_else(DataPolicy::unknown)
}

/// Checks that the policy allows the provider of these settings with these terms. Consent is not part of it.
///
/// # Errors
/// `Blocked`, with the reason.
pub fn check_terms(policy: &RoutingPolicy, settings: &ProviderSettings, terms: &DataPolicy) -> Result<()> {
    let provider = &settings.name;
    match forbidden(policy, provider, settings.kind, terms) {
        None => Ok(()),
        Some(rejection) => Err(rejection.into_error(provider)),
    }
}

/// Checks that the policy does not require a consent that this request lacks.
///
/// # Errors
/// `Blocked`: the user has to be asked first, or refused.
pub fn check_consent(
    policy: &RoutingPolicy,
    sensitivity: Sensitivity,
    consent: Option<&RouteTarget>,
    target: &RouteTarget,
    terms: &DataPolicy,
) -> Result<()> {
    if sensitivity != Sensitivity::Personal || terms.is_own() {
        return Ok(());
    }
    match policy.consent {
        ConsentPolicy::Given => Ok(()),
        ConsentPolicy::Ask if consent == Some(target) => Ok(()),
        ConsentPolicy::Ask => Err(Error::of(
            ErrorReason::ConsentRequired,
            format!("the user has to agree first that `{target}` gets the content"),
        )),
        ConsentPolicy::Refused => Err(Error::of(
            ErrorReason::PolicyForbids,
            "the user refused to send personal content to a third party; ask the user again",
        )),
    }
}

/// Returns the upstream constraints that OpenRouter is sent under this policy, and the data policy that results.
/// `providers` is its `/providers` document, which lists the regions of its upstreams.
///
/// If the policy names regions and no upstream is known to stay within them, the region is unknown, which such a policy
/// rejects, and the constraints match no upstream.
pub fn upstreams(policy: &RoutingPolicy, providers: Option<&Value>) -> (Upstreams, DataPolicy) {
    let mut upstreams = Upstreams {
        zdr: !policy.allow_retention,
        deny_collection: !policy.allow_training,
        ignore: policy.never.iter().map(|name| slug(name)).collect(),
        ..Upstreams::default()
    };
    let mut terms = table(ProviderKind::OpenRouter, None).unwrap_or_else(DataPolicy::unknown);
    // An upstream that retains nothing cannot train on it.
    terms.retained &= !upstreams.zdr;
    terms.trained_on &= !(upstreams.zdr || upstreams.deny_collection);
    if policy.regions.is_empty() {
        return (upstreams, terms);
    }
    upstreams.only = providers.map_or(vec![], |document| providers_in(&policy.regions, document));
    if upstreams.only.is_empty() {
        upstreams.only.push(NO_PROVIDER.to_owned());
    } else {
        terms.region = policy.regions.join(",").to_uppercase();
        IN_REGIONS.clone_into(&mut terms.note);
    }
    (upstreams, terms)
}

/// Returns the slugs of upstreams in OpenRouter's `/providers` document whose data centers are all in these regions.
/// Omits upstreams whose display name does not match their slug: an answer could not be attributed to them.
pub fn providers_in(regions: &[String], document: &Value) -> Vec<String> {
    let policy = RoutingPolicy {
        regions: regions.to_owned(),
        ..RoutingPolicy::default()
    };
    let within = |centers: &Vec<Value>| {
        let countries: Option<Vec<_>> = centers.iter().map(Value::as_str).collect();
        countries.is_some_and(|countries| {
            let terms = DataPolicy {
                region: countries.join(","),
                ..DataPolicy::unknown()
            };
            in_regions(&policy, &terms)
        })
    };
    let all = document["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter()
        .filter(|provider| provider["datacenters"].as_array().is_some_and(within))
        .filter_map(|provider| {
            let slug = provider["slug"].as_str()?;
            let only = Upstreams {
                only: vec![slug.to_owned()],
                ..Upstreams::default()
            };
            only.check_served_by(provider["name"].as_str()?).ok()?;
            Some(slug.to_owned())
        })
        .collect()
}

/// Returns the table's data policy if the host is one of the provider's own. Loopback counts as the first of them.
fn hosted(settings: &ProviderSettings) -> Option<DataPolicy> {
    let address = base_url(settings).ok()?;
    let host = address.host_str().filter(|_| !is_loopback(&address));
    table(settings.kind, host)
}

/// Returns the table's data policy of this kind of provider at one of its own hosts. `None`: the first of them.
fn table(kind: ProviderKind, host: Option<&str>) -> Option<DataPolicy> {
    let entry = entry(kind)?;
    let mut hosts = entry.hosts.iter();
    let entry_host = match host {
        Some(host) => hosts.find(|own| own.host.eq_ignore_ascii_case(host))?,
        None => hosts.next()?,
    };
    let mut terms = DataPolicy {
        retained: entry.terms.retained,
        trained_on: entry.terms.trained_on,
        as_of: entry.terms.as_of.clone(),
        source: entry.terms.source.clone(),
        note: entry.terms.note.clone(),
        ..DataPolicy::unknown()
    };
    if !entry_host.regions.is_empty() {
        terms.region = entry_host.regions.join(",");
    }
    Some(terms)
}

/// Converts a provider's display name to its OpenRouter slug.
fn slug(name: &str) -> String {
    name.trim().to_lowercase().replace(' ', "-")
}

/// A slug that matches no provider: an empty list would mean no restriction.
const NO_PROVIDER: &str = "no-provider-in-these-regions";

const IN_REGIONS: &str =
    "the model runs in these regions; OpenRouter itself receives the content at its nearest edge, in any region";

#[cfg(test)]
mod tests {
    use serde_json::json;
    use url::Url;

    use super::*;

    fn settings(kind: ProviderKind, base_url: Option<&str>) -> ProviderSettings {
        ProviderSettings {
            base_url: base_url.map(Into::into),
            ..ProviderSettings::new("p", kind)
        }
    }

    fn at(kind: ProviderKind, base_url: Option<&str>) -> DataPolicy {
        terms(&settings(kind, base_url), &RemoteModel::default())
    }

    fn policy(regions: &[&str]) -> RoutingPolicy {
        RoutingPolicy {
            regions: regions.iter().map(|region| (*region).to_owned()).collect(),
            ..RoutingPolicy::default()
        }
    }

    fn document() -> Value {
        json!({"data": [
            {"name": "Nebius", "slug": "nebius", "headquarters": "NL", "datacenters": ["FI", "FR"]},
            {"name": "DeepInfra", "slug": "deepinfra", "headquarters": "US", "datacenters": ["US", "DE"]},
            {"name": "Amazon Bedrock", "slug": "amazon-bedrock", "headquarters": "US", "datacenters": ["US"]},
            {"name": "Google", "slug": "google-vertex", "headquarters": "US", "datacenters": ["US"]},
            {"name": "Mute", "slug": "mute", "headquarters": "DE", "datacenters": null},
            {"name": "Empty", "slug": "empty", "headquarters": "DE", "datacenters": []},
        ]})
    }

    #[test]
    fn a_server_of_ones_own_is_known_by_its_address() {
        use ProviderKind::{Compatible, LlamaServer, Ollama};
        for kind in [Ollama, LlamaServer] {
            assert!(at(kind, None).is_own(), "{kind:?} is on this machine");
        }
        assert!(at(Compatible, Some("http://127.0.0.1:8080/v1")).is_own());
        let mut in_the_house = settings(Compatible, Some("https://192.168.1.9:8000"));
        assert!(terms(&in_the_house, &RemoteModel::default()).is_own());
        in_the_house.own_server = Some(false);
        assert_eq!(terms(&in_the_house, &RemoteModel::default()), DataPolicy::unknown());
        let mut rented = settings(Compatible, Some("http://203.0.113.5:8000"));
        rented.allow_http = true;
        assert_eq!(
            terms(&rented, &RemoteModel::default()),
            DataPolicy::unknown(),
            "leave to send without encryption makes no server one's own"
        );
        rented.own_server = Some(true);
        assert!(terms(&rented, &RemoteModel::default()).is_own());
        let mut service = settings(ProviderKind::OpenAi, None);
        service.own_server = Some(true);
        assert!(!terms(&service, &RemoteModel::default()).is_own());
        for elsewhere in [
            Some("https://ollama.com"),
            Some("https://203.0.113.7"),
            Some("no address"),
        ] {
            assert_eq!(at(Ollama, elsewhere), DataPolicy::unknown(), "{elsewhere:?}");
        }
        assert_eq!(at(Compatible, None), DataPolicy::unknown());
    }

    #[test]
    fn what_the_app_says_of_a_provider_counts() {
        let mut stated = settings(ProviderKind::Compatible, Some("https://llm.example.org"));
        stated.data_policy = Some(DataPolicy::own_server());
        assert!(terms(&stated, &RemoteModel::default()).is_own());
    }

    #[test]
    fn a_model_that_a_server_passes_on_is_unknown_whatever_is_said_of_the_server() {
        let mut own = settings(ProviderKind::Ollama, None);
        own.data_policy = Some(DataPolicy::own_server());
        let cloud = RemoteModel {
            proxied: true,
            ..RemoteModel::default()
        };
        let terms = terms(&own, &cloud);
        assert!(terms.retained && terms.trained_on && terms.region == "unknown");
    }

    #[test]
    fn a_service_has_the_terms_of_the_table_at_its_own_addresses_only() {
        use ProviderKind::{DeepSeek, Fireworks, Groq, OpenAi};
        let deepseek = at(DeepSeek, None);
        assert_eq!(
            (deepseek.region.as_str(), deepseek.retained, deepseek.trained_on),
            ("CN", true, true)
        );
        assert!(!deepseek.as_of.is_empty() && !deepseek.source.is_empty());
        let fireworks = at(Fireworks, None);
        assert_eq!((fireworks.region.as_str(), fireworks.retained), ("unknown", false));
        assert!(at(Groq, None).retained && !at(Groq, None).trained_on);
        assert_eq!(at(OpenAi, Some("https://us.api.openai.com/v1")).region, "US");
        assert_eq!(
            at(Fireworks, Some("http://127.0.0.1:9/v1")),
            fireworks,
            "a way through this machine"
        );
        for elsewhere in ["https://proxy.example/v1", "https://api.openai.com.example", "nonsense"] {
            assert_eq!(at(OpenAi, Some(elsewhere)), DataPolicy::unknown(), "{elsewhere}");
        }
    }

    #[test]
    fn the_table_knows_each_service_at_its_usual_address() {
        for kind in ProviderKind::ALL.into_iter().filter(|kind| kind.is_hosted()) {
            let usual = Url::parse(kind.usual_base_url()).expect("an address");
            assert_eq!(
                usual.host_str(),
                Some(entry(kind).expect("an entry").hosts[0].host.as_str())
            );
            assert!(!at(kind, None).source.is_empty(), "{kind:?}");
        }
    }

    #[test]
    fn under_the_strict_policy_nobody_behind_openrouter_keeps_anything() {
        let (upstreams, terms) = upstreams(&RoutingPolicy::default(), None);
        assert!(upstreams.zdr && upstreams.deny_collection && upstreams.only.is_empty());
        assert!(!terms.retained && !terms.trained_on && terms.region == "unknown");
        assert!(!terms.as_of.is_empty() && !terms.source.is_empty());
    }

    #[test]
    fn what_a_policy_allows_is_not_asked_for_and_not_promised() {
        let lax = RoutingPolicy {
            allow_retention: true,
            never: vec!["Amazon Bedrock".into()],
            ..RoutingPolicy::default()
        };
        let (constraints, terms) = upstreams(&lax, None);
        let wire = json!({"data_collection": "deny", "ignore": ["amazon-bedrock"]});
        assert_eq!(constraints.to_wire(false), wire);
        assert!(constraints.check_served_by("Amazon Bedrock").is_err());
        assert!(terms.retained && !terms.trained_on);
        let open = RoutingPolicy {
            allow_training: true,
            never: vec![],
            ..lax
        };
        let (constraints, terms) = upstreams(&open, None);
        assert_eq!(constraints, Upstreams::default());
        assert!(terms.retained && terms.trained_on);
    }

    #[test]
    fn regions_become_a_list_of_those_who_compute_nowhere_else() {
        let (constraints, terms) = upstreams(&policy(&["eu"]), Some(&document()));
        assert_eq!(constraints.only, ["nebius"]);
        assert_eq!(terms.region, "EU");
        assert!(in_regions(&policy(&["eu"]), &terms));
        assert!(constraints.check_served_by("Nebius").is_ok() && constraints.check_served_by("DeepInfra").is_err());
        let slugs = |regions: &[&str]| providers_in(&policy(regions).regions, &document());
        assert_eq!(slugs(&["US", "EU"]), ["nebius", "deepinfra", "amazon-bedrock"]);
        assert!(slugs(&["FI"]).is_empty());
    }

    #[test]
    fn where_nobody_keeps_to_the_regions_nobody_is_asked() {
        for (regions, document) in [
            (["JP"], Some(document())),
            (["EU"], None),
            (["EU"], Some(json!("nonsense"))),
        ] {
            let (constraints, terms) = upstreams(&policy(&regions), document.as_ref());
            assert!(!in_regions(&policy(&regions), &terms), "the policy does not allow it");
            assert!(!constraints.only.is_empty() && constraints.check_served_by("Nebius").is_err());
        }
    }
}
