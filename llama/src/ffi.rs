//! The Rust half of `shim/shim.h`: the same declarations, and the one way of calling them.
//!
//! Raw, and private to this crate: the modules above give each handle an owner, a lifetime and a safe face.

#![allow(unsafe_code)]

use std::ffi::{c_char, c_void};

use llama_cpp_sys_2 as sys;

/// Bytes that C++ allocated; freed on drop.
#[repr(C)]
pub(crate) struct Text {
    data: *mut c_char,
    size: usize,
}

impl Text {
    pub(crate) const fn empty() -> Self {
        Self {
            data: std::ptr::null_mut(),
            size: 0,
        }
    }

    pub(crate) fn to_text(&self) -> String {
        if self.data.is_null() {
            return String::new();
        }
        // SAFETY: `data` is non-null, so the shim allocated `size` bytes there and gave them to this value alone.
        let bytes = unsafe { std::slice::from_raw_parts(self.data.cast::<u8>(), self.size) };
        String::from_utf8_lossy(bytes).into_owned()
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        let text = Self {
            data: std::mem::replace(&mut self.data, std::ptr::null_mut()),
            size: 0,
        };
        // SAFETY: null, or what `ns::set` took from malloc; given away once, because ours was just set to null.
        unsafe { ns_text_free(std::mem::ManuallyDrop::new(text)) }
    }
}

/// Borrowed UTF-8 for the length of one call.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Slice {
    data: *const c_char,
    size: usize,
}

impl Slice {
    pub(crate) const ABSENT: Self = Self {
        data: std::ptr::null(),
        size: 0,
    };
}

impl From<&str> for Slice {
    fn from(text: &str) -> Self {
        Self {
            data: text.as_ptr().cast(),
            size: text.len(),
        }
    }
}

impl From<Option<&str>> for Slice {
    fn from(text: Option<&str>) -> Self {
        text.map_or(Self::ABSENT, Self::from)
    }
}

/// `ns_sampler_params`.
#[repr(C)]
pub(crate) struct SamplerParams {
    pub(crate) temperature: f32,
    pub(crate) top_k: i32,
    pub(crate) top_p: f32,
    pub(crate) min_p: f32,
    pub(crate) repeat_penalty: f32,
    pub(crate) frequency_penalty: f32,
    pub(crate) presence_penalty: f32,
    pub(crate) penalty_last_n: i32,
    pub(crate) seed: u32,
    pub(crate) thinking_budget: i32,
    pub(crate) constraint: Slice,
}

/// `ns_prompt`.
#[repr(C)]
pub(crate) struct Prompt {
    pub(crate) messages: Slice,
    pub(crate) tools: Slice,
    pub(crate) json_schema: Slice,
    pub(crate) grammar: Slice,
    pub(crate) thinking: bool,
    pub(crate) continue_final: bool,
}

/// Runs one shim call that fills an error text; the text comes back when the status is not `NS_OK`.
pub(crate) fn check(call: impl FnOnce(*mut Text) -> i32) -> Result<(), String> {
    let mut error = Text::empty();
    match call(&raw mut error) {
        0 => Ok(()),
        _ => Err(error.to_text()),
    }
}

/// The same for a call that also gives a text back.
pub(crate) fn text(call: impl FnOnce(*mut Text, *mut Text) -> i32) -> Result<String, String> {
    let mut out = Text::empty();
    check(|error| call(&raw mut out, error))?;
    Ok(out.to_text())
}

/// Opaque C++ objects; only ever behind a pointer.
pub(crate) enum Sampler {}
pub(crate) enum Template {}
pub(crate) enum Parser {}

unsafe extern "C" {
    fn ns_text_free(text: std::mem::ManuallyDrop<Text>);
    pub(crate) fn ns_init(log: sys::ggml_log_callback);
    pub(crate) fn ns_model_load(
        path: *const c_char,
        params: *const sys::llama_model_params,
        model: *mut *mut sys::llama_model,
        error: *mut Text,
    ) -> i32;
    pub(crate) fn ns_context_new(
        model: *mut sys::llama_model,
        params: *const sys::llama_context_params,
        context: *mut *mut sys::llama_context,
        error: *mut Text,
    ) -> i32;
    pub(crate) fn ns_tokenize(
        vocab: *const sys::llama_vocab,
        text: Slice,
        add_special: bool,
        parse_special: bool,
        tokens: *mut i32,
        capacity: i32,
        count: *mut i32,
        error: *mut Text,
    ) -> i32;
    pub(crate) fn ns_decode(
        context: *mut sys::llama_context,
        batch: sys::llama_batch,
        result: *mut i32,
        error: *mut Text,
    ) -> i32;
    pub(crate) fn ns_memory(context: *const sys::llama_context, json: *mut Text, error: *mut Text) -> i32;
    pub(crate) fn ns_assert_for_test(error: *mut Text) -> i32;

    pub(crate) fn ns_sampler_new(
        model: *const sys::llama_model,
        params: *const SamplerParams,
        sampler: *mut *mut Sampler,
        error: *mut Text,
    ) -> i32;
    pub(crate) fn ns_sampler_free(sampler: *mut Sampler);
    pub(crate) fn ns_sampler_reset(sampler: *mut Sampler, error: *mut Text) -> i32;
    pub(crate) fn ns_sampler_observe(sampler: *mut Sampler, tokens: *const i32, count: usize, error: *mut Text) -> i32;
    pub(crate) fn ns_sampler_sample(
        sampler: *mut Sampler,
        context: *mut sys::llama_context,
        token: *mut i32,
        error: *mut Text,
    ) -> i32;

    pub(crate) fn ns_template_new(
        model: *const sys::llama_model,
        source: Slice,
        bos: Slice,
        eos: Slice,
        template: *mut *mut Template,
        error: *mut Text,
    ) -> i32;
    pub(crate) fn ns_template_free(template: *mut Template);
    pub(crate) fn ns_template_render(
        template: *const Template,
        prompt: *const Prompt,
        json: *mut Text,
        error: *mut Text,
    ) -> i32;
    pub(crate) fn ns_parser_new(
        format: i32,
        generation_prompt: Slice,
        arena: Slice,
        parser: *mut *mut Parser,
        error: *mut Text,
    ) -> i32;
    pub(crate) fn ns_parser_free(parser: *mut Parser);
    pub(crate) fn ns_parser_parse(
        parser: *const Parser,
        text: Slice,
        partial: bool,
        json: *mut Text,
        error: *mut Text,
    ) -> i32;
    pub(crate) fn ns_schema_to_grammar(schema: Slice, grammar: *mut Text, error: *mut Text) -> i32;
}

/// What C passes back to a callback of ours.
pub(crate) type UserData = *mut c_void;
