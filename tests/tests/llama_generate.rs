//! Generation through the safe layer with a real model.

use std::sync::atomic::AtomicBool;

use nearside_llama::{Context, ContextParams, Decoded, Model, ModelParams, Sampler, SamplerParams};
use nearside_tests::models;

#[test]
fn greedy_text_is_llama_cpps_own() {
    let model = Model::load(
        &models::path("smollm2.gguf"),
        &ModelParams::default(),
        &mut |_| true,
    )
    .unwrap();
    let mut context = Context::new(
        &model,
        &ContextParams {
            threads: 2,
            ..ContextParams::default()
        },
    )
    .unwrap();
    let mut sampler = Sampler::new(
        &model,
        &SamplerParams {
            temperature: 0.0,
            ..SamplerParams::default()
        },
    )
    .unwrap();
    let abort = AtomicBool::new(false);
    let prompt = model
        .tokenize("The tides come twice a day because", true, false)
        .unwrap();
    assert_eq!(
        context.decode(&prompt, true, &abort).unwrap(),
        Decoded::Whole
    );
    let mut text = Vec::new();
    for _ in 0..32 {
        let token = context.sample(&mut sampler).unwrap();
        model.push_piece(token, false, &mut text);
        context.decode(&[token], true, &abort).unwrap();
    }
    assert_eq!(
        String::from_utf8(text).unwrap(),
        " the moon is a celestial body that is always moving. The tides are caused by the gravitational pull of the moon. The moon is a celestial body that is orbiting"
    );
}
