//! `nearside policy`: what may leave this machine, where to, and for how much. Shown as it is set, and changed key by key;
//! every receipt names the version that it was decided under.

use clap::{Args, Subcommand};
use nearside::route::{Consent, Policy};

use crate::asked::usd;
use crate::failure::Failure;
use crate::money::dollars;
use crate::output::{Output, dim, plain};
use crate::session::Session;

/// What `policy` takes.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct PolicyCommand {
    #[command(subcommand)]
    change: Option<Change>,
}

#[derive(Debug, Subcommand)]
enum Change {
    /// Change what is named, from the next question on
    #[command(after_long_help = KEYS)]
    Set {
        /// What to change, such as `regions=DE,FR` or `max-usd-day=0.5`; `--help` lists all
        #[arg(value_name = "KEY=VALUE", value_parser = Setting::parse, required = true)]
        settings: Vec<Setting>,
    },
}

/// One `KEY=VALUE` that was understood.
#[derive(Debug, Clone)]
struct Setting {
    key: String,
    value: String,
}

pub(crate) async fn run(arguments: PolicyCommand, session: &mut Session<'_>) -> Result<(), Failure> {
    let nearside = session.open()?;
    if let Some(Change::Set { settings }) = arguments.change {
        let policy = changed(&nearside.policy(), &settings);
        session.interrupt.or(nearside.set_policy(policy)).await?;
    }
    let policy = nearside.policy();
    if session.output.json() {
        return session.output.object(&policy);
    }
    let spent = session.interrupt.or(nearside.spent()).await?;
    show(&policy, spent.day, spent.month, session.output)
}

/// The policy with these changes. A change that names no version gets the next one of its own: receipts that name one
/// version were decided alike.
fn changed(before: &Policy, settings: &[Setting]) -> Policy {
    let mut policy = before.clone();
    for setting in settings {
        // Each was understood when it was read.
        let _ = setting.apply(&mut policy);
    }
    if policy != *before && policy.version == before.version {
        let number = before
            .version
            .strip_prefix(CUSTOM)
            .and_then(|number| number.parse().ok());
        policy.version = format!("{CUSTOM}{}", number.map_or(1, |number: u64| number.saturating_add(1)));
    }
    policy
}

impl Setting {
    fn parse(text: &str) -> Result<Self, String> {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| format!("`{text}` is no `KEY=VALUE`, such as `regions=DE,FR`"))?;
        let setting = Self {
            // Receipts and errors write them with an underscore.
            key: key.trim().replace('_', "-"),
            value: value.trim().to_owned(),
        };
        setting.apply(&mut Policy::default())?;
        Ok(setting)
    }

    fn apply(&self, policy: &mut Policy) -> Result<(), String> {
        let value = self.value.as_str();
        match self.key.as_str() {
            "version" if value.is_empty() || value.chars().any(char::is_control) => {
                return Err("a version is a word of your own, such as `work-2`".to_owned());
            }
            "version" => policy.version = value.to_owned(),
            "regions" => policy.regions = regions(value)?,
            "allow-retention" => policy.allow_retention = truth(value)?,
            "allow-training" => policy.allow_training = truth(value)?,
            "providers" => policy.providers = list(value),
            "never" => policy.never = list(value),
            "consent" => policy.consent = consent(value)?,
            "max-usd-request" => policy.max_usd_request = cap(value)?,
            "max-usd-day" => policy.max_usd_day = cap(value)?,
            "max-usd-month" => policy.max_usd_month = cap(value)?,
            "allow-metered" => policy.allow_metered = truth(value)?,
            "prefer-fast" => policy.prefer_fast = truth(value)?,
            key => {
                return Err(format!(
                    "`{key}` is no part of a policy; `nearside policy` shows all of them"
                ));
            }
        }
        Ok(())
    }
}

fn show(policy: &Policy, day: f64, month: f64, output: &mut Output) -> Result<(), Failure> {
    let cap = |cap: Option<f64>| cap.map_or_else(|| "none".to_owned(), |usd| usd.to_string());
    let consent = match policy.consent {
        Consent::Ask => "ask",
        Consent::Given => "given",
        Consent::Refused => "refused",
    };
    let rows = [
        ("version", policy.version.clone(), "what receipts call it".to_owned()),
        (
            "regions",
            policy.regions.join(","),
            "where words may be processed; none: anywhere".to_owned(),
        ),
        (
            "allow-retention",
            policy.allow_retention.to_string(),
            "places that may keep words".to_owned(),
        ),
        (
            "allow-training",
            policy.allow_training.to_string(),
            "places that may train on words".to_owned(),
        ),
        (
            "providers",
            policy.providers.join(","),
            "only these; none: all that are set up".to_owned(),
        ),
        (
            "never",
            policy.never.join(","),
            "never these, nor those behind them".to_owned(),
        ),
        (
            "consent",
            consent.to_owned(),
            "before personal words leave this machine".to_owned(),
        ),
        (
            "max-usd-request",
            cap(policy.max_usd_request),
            "US dollars of one request".to_owned(),
        ),
        (
            "max-usd-day",
            cap(policy.max_usd_day),
            format!("of a day in UTC; {} today", dollars(day)),
        ),
        (
            "max-usd-month",
            cap(policy.max_usd_month),
            format!("of a month in UTC; {} this month", dollars(month)),
        ),
        (
            "allow-metered",
            policy.allow_metered.to_string(),
            "connections that cost by the byte".to_owned(),
        ),
        (
            "prefer-fast",
            policy.prefer_fast.to_string(),
            "a much faster place wins, wherever it is".to_owned(),
        ),
    ];
    rows.into_iter().try_for_each(|(key, value, meaning)| {
        output.line(&[
            plain(format!("{:<28}", format!("{key}={value}"))),
            dim(format!("  {meaning}")),
        ])
    })
}

fn list(value: &str) -> Vec<String> {
    let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

fn regions(value: &str) -> Result<Vec<String>, String> {
    let codes = list(value).into_iter().map(|code| match code.len() {
        2 if code.chars().all(|c| c.is_ascii_alphabetic()) => Ok(code.to_ascii_uppercase()),
        _ => Err(format!(
            "`{code}` is no country; write codes of two letters, as in `regions=DE,FR`, or `EU`"
        )),
    });
    codes.collect()
}

fn truth(value: &str) -> Result<bool, String> {
    value
        .parse()
        .map_err(|_| format!("`{value}` is neither `true` nor `false`"))
}

fn consent(value: &str) -> Result<Consent, String> {
    match value {
        "ask" => Ok(Consent::Ask),
        "given" => Ok(Consent::Given),
        "refused" => Ok(Consent::Refused),
        _ => Err(format!("`{value}` is none of `ask`, `given` and `refused`")),
    }
}

fn cap(value: &str) -> Result<Option<f64>, String> {
    match value {
        "none" => Ok(None),
        _ => usd(value).map(Some).map_err(|why| format!("{why}, or `none`")),
    }
}

/// What versions are called that a person did not name.
const CUSTOM: &str = "custom-";

const EXAMPLE: &str = "\
Example:
  nearside policy
  nearside policy set regions=EU max-usd-day=0.5
  nearside policy set consent=given allow-retention=true version=work-2

`nearside policy set --help` lists what can be set. Servers of your own are always allowed, and asked about never.";

const KEYS: &str = "\
Keys:
  regions=DE,FR             only places that process words in these countries; EU is all of its members; empty: anywhere
  allow-retention=true      places that may keep words are allowed
  allow-training=true       places that may train on words are allowed
  providers=a,b             only these providers; empty: all that are set up
  never=x                   never these, nor those behind a provider that passes requests on
  consent=ask               ask before personal words leave this machine; `given`: never ask; `refused`: never send
  max-usd-request=0.05      US dollars that one request may cost; `none`: no cap
  max-usd-day=0.5           US dollars of a day, in UTC
  max-usd-month=5           US dollars of a month, in UTC
  allow-metered=false       stay here on a connection that costs by the byte
  prefer-fast=true          a place that is expected to be much faster wins, wherever it is
  version=TEXT              what receipts call this policy; without it `custom-N`, counting up

Example:
  nearside policy set regions=EU max-usd-day=0.5";

#[cfg(test)]
mod tests {
    use super::*;

    fn set(before: &Policy, texts: &[&str]) -> Policy {
        let settings: Vec<_> = texts.iter().map(|text| Setting::parse(text).expect(text)).collect();
        changed(before, &settings)
    }

    #[test]
    fn a_change_without_a_version_gets_the_next_one_and_no_change_gets_none() {
        let first = set(&Policy::default(), &["regions=de, FR"]);
        assert_eq!(
            (first.version.as_str(), first.regions.join(" ").as_str()),
            ("custom-1", "DE FR")
        );
        let second = set(&first, &["max_usd_day=0.5", "consent=given"]);
        assert_eq!((second.version.as_str(), second.max_usd_day), ("custom-2", Some(0.5)));
        assert_eq!(set(&second, &["max-usd-day=0.5"]), second);
        let named = set(&second, &["version=work", "max-usd-day=none", "regions="]);
        assert_eq!((named.version.as_str(), named.max_usd_day), ("work", None));
        assert!(named.regions.is_empty());
    }

    #[test]
    fn what_is_no_setting_is_refused_with_what_would_be_one() {
        for (text, named) in [
            ("regions", "KEY=VALUE"),
            ("colour=red", "no part"),
            ("regions=Germany", "two letters"),
            ("allow-training=yes", "`true`"),
            ("consent=maybe", "`refused`"),
            ("max-usd-day=-1", "0.05"),
            ("max-usd-day=NaN", "none"),
            ("version=", "work-2"),
        ] {
            let refused = Setting::parse(text).expect_err(text);
            assert!(refused.contains(named), "{refused}");
        }
    }
}
