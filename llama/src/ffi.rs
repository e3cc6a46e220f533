//! The Rust half of `shim/shim.h`: the same declarations, and the helpers that call them.
//!
//! Raw, and private to this crate: the other modules give each handle an owner, a lifetime and a safe interface.

#![allow(unsafe_code)]

use std::ffi::{c_char, c_void};
use std::ptr::NonNull;

use llama_cpp_sys_2 as sys;
use serde_json::Value;

use crate::error::ensure_reason;

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
        // SAFETY: `data` is null, or `ns::set_text` allocated it with malloc; freed once, because `self.data` is null
        // now.
        unsafe { ns_text_free(std::mem::ManuallyDrop::new(text)) }
    }
}

/// UTF-8 borrowed for one call.
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
pub(crate) struct RawSamplerParams {
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
pub(crate) struct RawPrompt {
    pub(crate) messages: Slice,
    pub(crate) tools: Slice,
    pub(crate) json_schema: Slice,
    pub(crate) grammar: Slice,
    pub(crate) reasoning_effort: Slice,
    pub(crate) thinking: bool,
    pub(crate) continue_final: bool,
}

/// `ns_limits`.
#[repr(C)]
pub(crate) struct RawLimits {
    pub(crate) is_stopped: unsafe extern "C" fn(UserData) -> bool,
    pub(crate) on_stuck: unsafe extern "C" fn(UserData),
    pub(crate) data: UserData,
    pub(crate) memory: usize,
    pub(crate) stack: usize,
    /// One of the limits below.
    pub(crate) reached: i32,
}

/// `NS_WITHIN`: no limit was reached.
pub(crate) const LIMIT_NONE: i32 = 0;
/// `NS_STOPPED`: `is_stopped` returned true.
pub(crate) const LIMIT_STOPPED: i32 = 1;

/// Calls a shim function with an error text, and returns that text if the status is not `NS_OK`.
pub(crate) fn call(shim: impl FnOnce(*mut Text) -> i32) -> Result<(), String> {
    let mut error = Text::empty();
    match shim(&raw mut error) {
        0 => Ok(()),
        _ => Err(ensure_reason(error.to_text())),
    }
}

/// Calls a shim function that also returns a text.
pub(crate) fn call_for_text(shim: impl FnOnce(*mut Text, *mut Text) -> i32) -> Result<String, String> {
    let mut out = Text::empty();
    call(|error| shim(&raw mut out, error))?;
    Ok(out.to_text())
}

/// Calls a shim function that also returns JSON.
pub(crate) fn call_for_json(shim: impl FnOnce(*mut Text, *mut Text) -> i32) -> Result<Value, String> {
    // serde_json's own text could quote a prompt.
    serde_json::from_str(&call_for_text(shim)?).map_err(|_| ensure_reason(String::new()))
}

/// Calls a shim function that creates an object.
pub(crate) fn call_for_object<T>(shim: impl FnOnce(*mut *mut T, *mut Text) -> i32) -> Result<NonNull<T>, String> {
    let mut object = std::ptr::null_mut();
    call(|error| shim(&raw mut object, error))?;
    NonNull::new(object).ok_or_else(|| ensure_reason(String::new()))
}

/// Opaque C++ objects, used only behind a pointer.
pub(crate) enum RawSampler {}
pub(crate) enum RawTemplate {}
pub(crate) enum RawParser {}

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
    pub(crate) fn ns_context_use_huge_pages(context: *const sys::llama_context, error: *mut Text) -> i32;
    pub(crate) fn ns_context_has_flash_attention(context: *const sys::llama_context) -> bool;
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
    #[cfg(test)]
    pub(crate) fn ns_collapse_for_test(
        at: *mut u8,
        size: usize,
        most_ms: u32,
        go_on: sys::llama_progress_callback,
        data: UserData,
    ) -> bool;
    pub(crate) fn ns_stuck_for_test(limits: *mut RawLimits, error: *mut Text) -> i32;
    pub(crate) fn ns_threadpool_new(threads: u32, pool: *mut *mut sys::ggml_threadpool, error: *mut Text) -> i32;
    pub(crate) fn ns_trim_heap();
    pub(crate) fn ns_performance_cores() -> u32;

    pub(crate) fn ns_sampler_new(
        model: *const sys::llama_model,
        params: *const RawSamplerParams,
        sampler: *mut *mut RawSampler,
        error: *mut Text,
    ) -> i32;
    pub(crate) fn ns_sampler_free(sampler: *mut RawSampler);
    pub(crate) fn ns_sampler_reset(sampler: *mut RawSampler, error: *mut Text) -> i32;
    pub(crate) fn ns_sampler_observe(
        sampler: *mut RawSampler,
        tokens: *const i32,
        count: usize,
        error: *mut Text,
    ) -> i32;
    pub(crate) fn ns_sampler_sample(
        sampler: *mut RawSampler,
        context: *mut sys::llama_context,
        token: *mut i32,
        error: *mut Text,
    ) -> i32;

    pub(crate) fn ns_template_new(
        model: *const sys::llama_model,
        source: Slice,
        bos: Slice,
        eos: Slice,
        limits: *mut RawLimits,
        template: *mut *mut RawTemplate,
        error: *mut Text,
    ) -> i32;
    pub(crate) fn ns_template_free(template: *mut RawTemplate);
    pub(crate) fn ns_template_check(
        source: Slice,
        bos: Slice,
        eos: Slice,
        run: bool,
        limits: *mut RawLimits,
        error: *mut Text,
    ) -> i32;
    pub(crate) fn ns_template_render(
        template: *const RawTemplate,
        prompt: *const RawPrompt,
        limits: *mut RawLimits,
        json: *mut Text,
        error: *mut Text,
    ) -> i32;
    pub(crate) fn ns_parser_new(
        format: i32,
        generation_prompt: Slice,
        arena: Slice,
        parser: *mut *mut RawParser,
        error: *mut Text,
    ) -> i32;
    pub(crate) fn ns_parser_free(parser: *mut RawParser);
    pub(crate) fn ns_parser_parse(
        parser: *const RawParser,
        text: Slice,
        partial: bool,
        json: *mut Text,
        error: *mut Text,
    ) -> i32;
    pub(crate) fn ns_schema_to_grammar(schema: Slice, grammar: *mut Text, error: *mut Text) -> i32;
}

/// The pointer that C passes to a callback.
pub(crate) type UserData = *mut c_void;
