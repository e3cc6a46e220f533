//! Consent before content leaves this device. The library supplies the question; a user on a terminal answers it, a
//! script passes `--yes`, and nothing is sent without either.

use nearside::chat::RouteTarget;
use nearside::route::RouteDecision;
use nearside::{Error, ErrorReason};

use crate::args::RequestArgs;
use crate::error::CliError;
use crate::prompt;
use crate::session::CliSession;

/// Obtains consent if this decision needs it. It is valid for the returned target, and no other; `None`: none is needed, or
/// the answer itself reports the outcome. `decide` is not run for a request that stays on this device.
///
/// # Errors
/// `Blocked` if the user refuses or there is no terminal to ask on; errors of the decision.
pub(super) async fn obtain(
    decide: impl Future<Output = Result<RouteDecision, Error>>,
    args: &RequestArgs,
    session: &mut CliSession,
) -> Result<Option<RouteTarget>, CliError> {
    if !args.allows_remote() {
        return Ok(None);
    }
    let RouteDecision::NeedsConsent { question } = session.interrupt.race(decide).await? else {
        return Ok(None);
    };
    if !args.has_consent() {
        if !prompt::is_interactive(&session.output) {
            let text = format!(
                "content would leave this device, and there is no terminal to confirm it: {}",
                question.text
            );
            return Err(Error::of(ErrorReason::ConsentRequired, text).into());
        }
        if !prompt::confirm(&question.text)? {
            let error = Error::of(
                ErrorReason::ConsentRequired,
                "you did not consent, and nothing was sent",
            );
            return Err(CliError::with_help(error, "`--mode only-on-device` uses a local model"));
        }
        session.interrupt.discard_pending().await;
    }
    Ok(Some(question.target))
}
