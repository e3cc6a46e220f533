//! Consent before content leaves the machine. The library supplies the question; a user on a terminal answers it, a
//! script passes `--yes`, and nothing is sent without either.

use nearside::chat::ChatRequest;
use nearside::route::RouteDecision;
use nearside::{Error, ErrorReason, Nearside};

use crate::args::RequestArgs;
use crate::error::CliError;
use crate::prompt;
use crate::session::CliSession;

/// Obtains consent if the request needs it. It is valid for the target that was named, and no other.
///
/// # Errors
/// `Blocked` if the user refuses or there is no terminal to ask on; errors of the decision.
pub(super) async fn obtain(
    nearside: &Nearside,
    request: &mut ChatRequest,
    args: &RequestArgs,
    session: &mut CliSession,
) -> Result<(), CliError> {
    if !args.allows_remote() {
        return Ok(());
    }
    let decision = session.interrupt.race(nearside.route(request.clone())).await?;
    // In all other cases the answer itself reports the outcome.
    let RouteDecision::NeedsConsent { question } = decision else {
        return Ok(());
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
    request.consent = Some(question.target);
    Ok(())
}
