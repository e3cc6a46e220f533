//! `nearside policy`: shows or changes the routing policy: what may leave this device, for which targets, at what cost.
//! Every receipt names the version of the policy that it was decided under.

use clap::{Args, Subcommand};
use nearside::Nearside;
use nearside::engine::remote::ProviderKind;
use nearside::route::{ConsentPolicy, RoutingPolicy};

use crate::args::values::parse_usd;
use crate::error::CliError;
use crate::format::format_dollars;
use crate::output::{Printer, dim, plain, warning};
use crate::session::CliSession;

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    command: Option<PolicyCommand>,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// Change the given keys, from the next request on
    #[command(after_long_help = KEYS_HELP)]
    Set {
        /// Keys to change, such as `regions=DE,FR` or `max-usd-day=0.5`; `--help` lists all
        #[arg(value_name = "KEY=VALUE", value_parser = PolicySetting::from_text, required = true)]
        settings: Vec<PolicySetting>,
    },
}

/// A valid `KEY=VALUE`.
#[derive(Debug, Clone)]
struct PolicySetting {
    key: String,
    value: String,
}

/// Applies the changes, if any, and prints the policy.
pub(crate) async fn print_or_change_policy(args: PolicyArgs, session: &mut CliSession) -> Result<(), CliError> {
    let nearside = session.open_library()?;
    if let Some(PolicyCommand::Set { settings }) = args.command {
        // Another process may change another key at the same moment.
        loop {
            let before = nearside.policy();
            let policy = apply_settings(&before, &settings);
            if session.interrupt.race(nearside.replace_policy(before, policy)).await? {
                break;
            }
        }
        note_unknown_names(&settings, &nearside, session).await?;
    }
    let policy = nearside.policy();
    if session.output.is_json() {
        return session.output.print_json(&policy);
    }
    let spent = session.interrupt.race(nearside.spent()).await?;
    print_policy(&policy, spent.day, spent.month, &mut session.output)
}

/// Warns of names in the changed lists that match no provider yet. They are kept, because one may be set up later.
async fn note_unknown_names(
    settings: &[PolicySetting],
    nearside: &Nearside,
    session: &mut CliSession,
) -> Result<(), CliError> {
    let set_up = session.interrupt.race(nearside.providers()).await?;
    for setting in settings {
        // Both were parsed before.
        let names = parse_list(&setting.value).unwrap_or_default();
        for name in names {
            let warning_text = match setting.key.as_str() {
                "never" => {
                    let is_known = ProviderKind::from_name(&name.to_ascii_lowercase()).is_some()
                        || set_up.iter().any(|one| one.settings.name.eq_ignore_ascii_case(&name));
                    (!is_known).then(|| {
                        format!(
                            ": no provider is set up as `{name}`, and no kind has that name; it excludes a later one, and \
                             an upstream of OpenRouter"
                        )
                    })
                }
                "providers" => (!set_up.iter().any(|one| one.settings.name == name)).then(|| {
                    format!(": no provider is set up as `{name}`; only a later one of exactly this name is allowed")
                }),
                _ => None,
            };
            if let Some(text) = warning_text {
                session.output.print_note(&[warning("warning"), plain(text)]);
            }
        }
    }
    Ok(())
}

/// Returns the policy with these changes. A change without a version gets the next custom one, so that a version always
/// means the same policy.
fn apply_settings(before: &RoutingPolicy, settings: &[PolicySetting]) -> RoutingPolicy {
    let mut policy = before.clone();
    for setting in settings {
        // Cannot fail: `from_text` has validated it.
        let _ = setting.apply(&mut policy);
    }
    if policy != *before && policy.version == before.version {
        let last = before.version.strip_prefix(CUSTOM_VERSION);
        let last: u64 = last.and_then(|number| number.parse().ok()).unwrap_or_default();
        policy.version = format!("{CUSTOM_VERSION}{}", last.saturating_add(1));
    }
    policy
}

impl PolicySetting {
    fn from_text(text: &str) -> Result<Self, String> {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| format!("`{text}` is no `KEY=VALUE`, such as `regions=DE,FR`"))?;
        let setting = Self {
            // Receipts and errors write keys with underscores.
            key: key.trim().replace('_', "-"),
            value: value.trim().to_owned(),
        };
        let mut policy = RoutingPolicy::default();
        setting.apply(&mut policy)?;
        policy.check().map_err(|error| error.to_string())?;
        Ok(setting)
    }

    fn apply(&self, policy: &mut RoutingPolicy) -> Result<(), String> {
        let value = self.value.as_str();
        match self.key.as_str() {
            "version" if value.is_empty() || value.chars().any(char::is_control) => {
                return Err("a version is a name of your choice, such as `work-2`".to_owned());
            }
            "version" => policy.version = value.to_owned(),
            "regions" => policy.regions = parse_regions(value)?,
            "allow-retention" => policy.allow_retention = parse_bool(value)?,
            "allow-training" => policy.allow_training = parse_bool(value)?,
            "providers" => policy.providers = parse_list(value)?,
            "never" => policy.never = parse_list(value)?,
            "consent" => policy.consent = parse_consent(value)?,
            "max-usd-request" => policy.max_usd_request = parse_cap(value)?,
            "max-usd-day" => policy.max_usd_day = parse_cap(value)?,
            "max-usd-month" => policy.max_usd_month = parse_cap(value)?,
            "allow-metered" => policy.allow_metered = parse_bool(value)?,
            "prefer-fast" => policy.prefer_fast = parse_bool(value)?,
            key => {
                return Err(format!(
                    "`{key}` is no key of a policy; `nearside policy` lists all keys"
                ));
            }
        }
        Ok(())
    }
}

fn print_policy(policy: &RoutingPolicy, day: f64, month: f64, output: &mut Printer) -> Result<(), CliError> {
    let format_cap = |cap: Option<f64>| cap.map_or_else(|| "none".to_owned(), |usd| usd.to_string());
    let today = format!("US dollars per day in UTC; {} today", format_dollars(day));
    let this_month = format!("US dollars per month in UTC; {} this month", format_dollars(month));
    let consent = match policy.consent {
        ConsentPolicy::Ask => "ask",
        ConsentPolicy::Given => "given",
        ConsentPolicy::Refused => "refused",
    };
    let values = [
        policy.version.clone(),
        policy.regions.join(","),
        policy.allow_retention.to_string(),
        policy.allow_training.to_string(),
        policy.providers.join(","),
        policy.never.join(","),
        consent.to_owned(),
        format_cap(policy.max_usd_request),
        format_cap(policy.max_usd_day),
        format_cap(policy.max_usd_month),
        policy.allow_metered.to_string(),
        policy.prefer_fast.to_string(),
    ];
    let keys = [
        ("version", "named in every receipt"),
        ("regions", "where content may be processed; empty: anywhere"),
        ("allow-retention", "targets that may retain content"),
        ("allow-training", "targets that may train on content"),
        ("providers", "only providers of these names; empty: all that are set up"),
        ("never", "never providers of these names or kinds, nor such upstreams"),
        ("consent", "before personal content leaves this device"),
        ("max-usd-request", "US dollars per request"),
        ("max-usd-day", &today),
        ("max-usd-month", &this_month),
        ("allow-metered", "use remote targets on metered connections"),
        ("prefer-fast", "prefer a target that is much faster, on either side"),
    ];
    keys.into_iter().zip(values).try_for_each(|((key, meaning), value)| {
        let setting = format!("{:<28}", format!("{key}={value}"));
        output.print_line(&[plain(setting), dim(format!("  {meaning}"))])
    })
}

/// Parses names between commas. An empty value is an empty list; an empty name is rejected, because a list that is empty
/// by mistake may allow more.
fn parse_list(value: &str) -> Result<Vec<String>, String> {
    if value.is_empty() {
        return Ok(vec![]);
    }
    let names = value.split(',').map(str::trim);
    let names = names.map(|name| match name {
        "" => Err(format!("an entry of `{value}` is empty; leave it and its comma out")),
        name => Ok(name.to_owned()),
    });
    names.collect()
}

/// Parses country codes; [`RoutingPolicy::check`] rejects those of no country.
fn parse_regions(value: &str) -> Result<Vec<String>, String> {
    Ok(parse_list(value)?.iter().map(|code| code.to_uppercase()).collect())
}

fn parse_bool(value: &str) -> Result<bool, String> {
    let parsed = value.parse();
    parsed.map_err(|_| format!("`{value}` is neither `true` nor `false`"))
}

fn parse_consent(value: &str) -> Result<ConsentPolicy, String> {
    match value {
        "ask" => Ok(ConsentPolicy::Ask),
        "given" => Ok(ConsentPolicy::Given),
        "refused" => Ok(ConsentPolicy::Refused),
        _ => Err(format!("`{value}` is not one of `ask`, `given` and `refused`")),
    }
}

fn parse_cap(value: &str) -> Result<Option<f64>, String> {
    match value {
        "none" => Ok(None),
        _ => parse_usd(value).map(Some).map_err(|why| format!("{why}, or `none`")),
    }
}

/// Prefix of versions that the user did not name.
const CUSTOM_VERSION: &str = "custom-";

const EXAMPLES: &str = "\
Example:
  nearside policy
  nearside policy set regions=EU max-usd-day=0.5
  nearside policy set consent=given allow-retention=true version=work-2

`nearside policy set --help` lists all keys. Your own servers are always allowed and never need consent.";

const KEYS_HELP: &str = "\
Keys:
  regions=DE,FR             only targets that process content in these countries; EU is all members; empty: anywhere
  allow-retention=true      allow targets that may retain content
  allow-training=true       allow targets that may train on content
  providers=a,b             only providers that are set up under exactly these names; empty: all
  never=x                   never providers of this name or kind, nor upstreams of that name behind another provider
  consent=ask               ask before personal content leaves this device; `given`: never ask; `refused`: never send
  max-usd-request=0.05      maximum cost of one request in US dollars, up to 1000000; `none`: no cap
  max-usd-day=0.5           maximum cost of a day, in UTC
  max-usd-month=5           maximum cost of a month, in UTC
  allow-metered=false       only this device and own servers nearby on a metered connection
  prefer-fast=true          prefer a target that is expected to be much faster, on either side
  version=TEXT              name of this policy in receipts; without it `custom-N`, counting up

Example:
  nearside policy set regions=EU max-usd-day=0.5";

#[cfg(test)]
mod tests {
    use super::*;

    fn set_all(before: &RoutingPolicy, texts: &[&str]) -> RoutingPolicy {
        let settings = texts.iter().map(|text| PolicySetting::from_text(text).expect(text));
        apply_settings(before, &settings.collect::<Vec<_>>())
    }

    #[test]
    fn a_change_without_a_version_gets_the_next_one_and_no_change_gets_none() {
        let first = set_all(&RoutingPolicy::default(), &["regions=de, FR"]);
        assert_eq!(
            (first.version.as_str(), first.regions.join(" ").as_str()),
            ("custom-1", "DE FR")
        );
        let second = set_all(&first, &["max_usd_day=0.5", "consent=given"]);
        assert_eq!((second.version.as_str(), second.max_usd_day), ("custom-2", Some(0.5)));
        assert_eq!(set_all(&second, &["max-usd-day=0.5"]), second);
        let named = set_all(&second, &["version=work", "max-usd-day=none", "regions="]);
        assert_eq!((named.version.as_str(), named.max_usd_day), ("work", None));
        assert!(named.regions.is_empty());
    }

    #[test]
    fn an_invalid_setting_is_rejected_with_a_valid_example() {
        for (text, named) in [
            ("regions", "KEY=VALUE"),
            ("colour=red", "no key"),
            ("regions=Germany", "two letters"),
            ("regions=,", "empty"),
            ("regions=DE,", "empty"),
            ("regions=UK", "`GB`"),
            ("regions=XX", "two letters"),
            ("never=,", "empty"),
            ("max-usd-day=1e308", "1000000"),
            ("allow-training=yes", "`true`"),
            ("consent=maybe", "`refused`"),
            ("max-usd-day=-1", "0.05"),
            ("max-usd-day=NaN", "none"),
            ("version=", "work-2"),
        ] {
            let error = PolicySetting::from_text(text).expect_err(text);
            assert!(error.contains(named), "{error}");
        }
    }
}
