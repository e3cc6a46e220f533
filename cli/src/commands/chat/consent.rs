//! Consent before content leaves the machine. The library supplies the question; a user on a terminal answers it, a
//! script passes `--yes`, and nothing is sent without either.

use nearside::chat::ChatRequest;
use nearside::route::Decision;
use nearside::{Error, Nearside};

use crate::asked::Asked;
use crate::failure::Failure;
use crate::person;
use crate::session::Session;

/// Obtains consent if the request needs it. It is valid for the target that was named, and no other.
///
/// # Errors
/// `Blocked` if the user refuses or there is no terminal to ask on; errors of the decision.
pub(super) async fn settle(
    nearside: &Nearside,
    request: &mut ChatRequest,
    asked: &Asked,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    if !asked.may_leave() {
        return Ok(());
    }
    let decision = session.interrupt.or(nearside.route(request.clone())).await?;
    // In all other cases the answer itself reports the outcome.
    let Decision::Ask { question } = decision else {
        return Ok(());
    };
    if !asked.agreed() {
        if !person::is_there(session.output) {
            let text = format!(
                "words would leave this machine, and there is no terminal to ask on: {}; agree with `--yes`, or stay \
                 here with `--mode only-on-device`",
                question.text
            );
            return Err(Error::blocked(text).into());
        }
        if !person::agrees(&question.text)? {
            let text = "you did not agree, and nothing was sent; `--mode only-on-device` asks a model here";
            return Err(Error::blocked(text).into());
        }
        session.interrupt.forget().await;
    }
    request.consent = Some(question.target);
    Ok(())
}
