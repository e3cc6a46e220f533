//! The question before words leave the machine. The library says what to ask; a person on a terminal answers, a script
//! answers beforehand with `--yes`, and nothing is sent without one of them.

use nearside::chat::ChatRequest;
use nearside::route::Decision;
use nearside::{Error, Nearside};

use crate::asked::Asked;
use crate::failure::Failure;
use crate::person;
use crate::session::Session;

/// Gets the consent that the request needs, if it needs one. It holds for the place that was named, and no other.
///
/// # Errors
/// `Blocked` after a no, or where there is nobody to ask; those of the decision.
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
    // Whoever else is to answer, or nobody, is told by the answer itself.
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
