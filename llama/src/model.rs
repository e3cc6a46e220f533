//! Loaded models: their vocabulary and the metadata of their file.

#![allow(unsafe_code)]

use std::any::Any;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;

use llama_cpp_sys_2 as sys;

use crate::backend::{LogScope, check_cpu, init_backend, with_log_scope};
use crate::error::load_error;
use crate::{LlamaError, ffi, stack};

/// The id of a token in a model's vocabulary.
pub type Token = i32;

/// How the weights are held in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoadMode {
    /// Read once into private memory, in the layout that computes fastest. All of it is dirty memory.
    #[default]
    Repacked,
    /// Mapped from the file without repacking: slower, but the system may drop pages at any time and read them again.
    Mapped,
}

/// Parameters of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelParams {
    /// How the weights are held in memory.
    pub load_mode: LoadMode,
    /// Number of layers on the GPU; -1 means all. 0 uses no GPU at all, also not for single large products. Without a GPU it
    /// has no effect.
    pub gpu_layers: i32,
}

impl Default for ModelParams {
    fn default() -> Self {
        Self {
            load_mode: LoadMode::default(),
            gpu_layers: -1,
        }
    }
}

/// A loaded model. Clones share it; its memory is freed with the last clone, context or sampler.
#[derive(Clone)]
pub struct Model {
    handle: Arc<ModelHandle>,
}

impl Model {
    /// Loads the GGUF file at `path`. `progress` is called with the loaded fraction, 0 to 1; return `false` to cancel.
    ///
    /// # Errors
    /// [`LlamaError::Cancelled`] if `progress` returned `false`; [`LlamaError::Unsupported`] if this processor cannot
    /// run the model or the file holds no text generator; [`LlamaError::Load`] if the file is unusable;
    /// [`LlamaError::Input`] for an invalid parameter or path.
    pub fn load(path: &Path, params: &ModelParams, progress: &mut dyn FnMut(f32) -> bool) -> Result<Self, LlamaError> {
        Self::load_with(path, *params, false, progress)
    }

    /// Like [`Self::load`]; `simulate` plans the weights without allocating or reading them.
    pub(crate) fn load_with(
        path: &Path,
        params: ModelParams,
        simulate: bool,
        progress: &mut dyn FnMut(f32) -> bool,
    ) -> Result<Self, LlamaError> {
        check_cpu()?;
        init_backend();
        if params.gpu_layers < -1 {
            return Err(LlamaError::Input(
                "the number of layers on the GPU must be -1 or more".to_owned(),
            ));
        }
        let path = c_path(path)?;
        let mut state = LoadProgress {
            callback: progress,
            cancelled: false,
            panic: None,
        };
        // SAFETY: returns a plain struct.
        let mut raw = unsafe { sys::llama_model_default_params() };
        raw.n_gpu_layers = params.gpu_layers;
        if params.gpu_layers == 0 {
            // llama.cpp would otherwise send large products to the GPU, whatever layer they belong to. It only reads the list.
            raw.devices = (&raw const NO_DEVICES).cast_mut().cast();
        }
        raw.load_mode = match params.load_mode {
            LoadMode::Mapped if !simulate => sys::LLAMA_LOAD_MODE_MMAP,
            // Simulating needs it: llama.cpp cannot map a file when it allocates nothing.
            _ => sys::LLAMA_LOAD_MODE_NONE,
        };
        raw.use_extra_bufts = params.load_mode == LoadMode::Repacked;
        raw.no_alloc = simulate;
        raw.progress_callback = Some(on_progress);
        raw.progress_callback_user_data = (&raw mut state).cast();

        let mut model = std::ptr::null_mut();
        let (outcome, reason) = with_log_scope(LogScope::Load, || {
            // SAFETY: `path` is terminated, `raw` is complete, and `state`, which `raw` points to, outlives the call;
            // llama.cpp keeps the pointer but calls it only while loading.
            ffi::call(|error| unsafe { ffi::ns_model_load(path.as_ptr(), &raw const raw, &raw mut model, error) })
        });
        let LoadProgress { cancelled, panic, .. } = state;
        // Owned from here on, so that no early return leaks it.
        let handle = NonNull::new(model).map(|raw| ModelHandle { raw });
        if let Some(panic) = panic {
            drop(handle);
            resume_unwind(panic);
        }
        outcome.map_err(load_error)?;
        let Some(handle) = handle else {
            return Err(if cancelled {
                LlamaError::Cancelled
            } else {
                load_error(reason)
            });
        };
        let model = Self {
            handle: Arc::new(handle),
        };
        model.check_kind()?;
        Ok(model)
    }

    /// Returns the tokens of `text`. `add_special` adds the model's start (and end) tokens; `parse_special` parses text
    /// such as `<|im_end|>` as control tokens: right for a rendered prompt, wrong for text that a user wrote.
    ///
    /// # Errors
    /// [`LlamaError::Input`] for more than 2 GiB of text, or text that the tokenizer cannot process.
    pub fn tokenize(&self, text: &str, add_special: bool, parse_special: bool) -> Result<Vec<Token>, LlamaError> {
        if i32::try_from(text.len()).is_err() {
            return Err(LlamaError::Input("the text is longer than 2 GiB".to_owned()));
        }
        stack::with_stack(stack::longest_run(text), WORD_LEVEL_BYTES, || {
            self.tokenize_on_this_stack(text, add_special, parse_special)
        })?
    }

    /// Appends the bytes of `token` to `out`: often part of a character, so decode UTF-8 over the whole. Control tokens
    /// are empty without `special`. An id outside the vocabulary adds nothing.
    pub fn push_piece(&self, token: Token, special: bool, out: &mut Vec<u8>) {
        if !self.has_token(token) {
            return;
        }
        let mut room = 32;
        loop {
            let start = out.len();
            out.resize(start + room, 0);
            let capacity = i32::try_from(room).unwrap_or(i32::MAX);
            // SAFETY: the vocabulary lives as long as the model, the token is in it, and `capacity` bytes are free at
            // the pointer.
            let written = unsafe {
                sys::llama_token_to_piece(
                    self.vocab(),
                    token,
                    out.as_mut_ptr().add(start).cast::<c_char>(),
                    capacity,
                    0,
                    special,
                )
            };
            if let Ok(written) = usize::try_from(written) {
                out.truncate(start + written);
                return;
            }
            out.truncate(start);
            room = written.unsigned_abs() as usize;
        }
    }

    /// Returns whether `token` ends a reply.
    pub fn is_end(&self, token: Token) -> bool {
        // SAFETY: the vocabulary lives as long as the model, and the token is in it.
        self.has_token(token) && unsafe { sys::llama_vocab_is_eog(self.vocab(), token) }
    }

    /// Returns the text of the begin-of-text token; empty if there is none.
    pub fn bos_text(&self) -> String {
        // SAFETY: the vocabulary lives as long as the model.
        self.special_text(unsafe { sys::llama_vocab_bos(self.vocab()) })
    }

    /// Returns the text of the end-of-text token; empty if there is none.
    pub fn eos_text(&self) -> String {
        // SAFETY: the vocabulary lives as long as the model.
        self.special_text(unsafe { sys::llama_vocab_eos(self.vocab()) })
    }

    /// Returns one value of the file's metadata, as text: `general.name`, `tokenizer.chat_template`, … `None` for
    /// arrays.
    pub fn meta(&self, key: &str) -> Option<String> {
        let key = CString::new(key).ok()?;
        let mut buffer = vec![0u8; 256];
        loop {
            // SAFETY: the model is live, `key` is terminated, and the length is the buffer's.
            let length = unsafe {
                sys::llama_model_meta_val_str(self.raw(), key.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len())
            };
            let length = usize::try_from(length).ok()?;
            if length < buffer.len() {
                buffer.truncate(length);
                return Some(String::from_utf8_lossy(&buffer).into_owned());
            }
            buffer.resize(length + 1, 0);
        }
    }

    /// Returns the context length that the model was trained with, in tokens.
    pub fn context_train(&self) -> u32 {
        // SAFETY: the model is live.
        u32::try_from(unsafe { sys::llama_model_n_ctx_train(self.raw()) }).unwrap_or_default()
    }

    /// Returns the number of tokens in the vocabulary.
    pub fn vocab_size(&self) -> u32 {
        // SAFETY: the vocabulary lives as long as the model.
        u32::try_from(unsafe { sys::llama_vocab_n_tokens(self.vocab()) }).unwrap_or_default()
    }

    /// Returns the number of parameters.
    pub fn parameters(&self) -> u64 {
        // SAFETY: the model is live.
        unsafe { sys::llama_model_n_params(self.raw()) }
    }

    /// Returns the size of all tensors in bytes.
    pub fn size(&self) -> u64 {
        // SAFETY: the model is live.
        unsafe { sys::llama_model_size(self.raw()) }
    }

    /// Returns llama.cpp's description of architecture, size and quantization, such as `llama 135M Q4_1`.
    pub fn description(&self) -> String {
        let mut buffer = [0u8; 256];
        // SAFETY: the model is live, and the length is the buffer's; the text is terminated within it.
        unsafe { sys::llama_model_desc(self.raw(), buffer.as_mut_ptr().cast(), buffer.len()) };
        CStr::from_bytes_until_nul(&buffer)
            .map(|text| text.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    /// Returns the texts that [`tokenize`](Self::tokenize) parses as control tokens only with `parse_special`.
    pub fn control_words(&self) -> Vec<String> {
        let is_control = |token: &Token| {
            // SAFETY: the vocabulary lives as long as the model, and the token is within it.
            let kind = unsafe { sys::llama_vocab_get_attr(self.vocab(), *token) };
            kind & (sys::LLAMA_TOKEN_ATTR_CONTROL | sys::LLAMA_TOKEN_ATTR_UNKNOWN) != 0
        };
        let all = 0..Token::try_from(self.vocab_size()).unwrap_or_default();
        let words = all.filter(is_control).map(|token| self.special_text(token));
        words.filter(|word| !word.is_empty()).collect()
    }

    /// Returns the tokens of those `words` that are a single token. A reply must keep them visible
    /// ([`push_piece`](Self::push_piece) with `special`), because its parser looks for them.
    ///
    /// # Errors
    /// Those of [`tokenize`](Self::tokenize).
    pub fn single_tokens(&self, words: &[String]) -> Result<Vec<Token>, LlamaError> {
        let mut found = Vec::new();
        for word in words {
            if let [token] = self.tokenize(word, false, true)?[..] {
                found.push(token);
            }
        }
        Ok(found)
    }

    pub(crate) fn has_token(&self, token: Token) -> bool {
        u32::try_from(token).is_ok_and(|token| token < self.vocab_size())
    }

    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.handle, &other.handle)
    }

    pub(crate) fn raw(&self) -> *mut sys::llama_model {
        self.handle.raw.as_ptr()
    }

    fn tokenize_on_this_stack(
        &self,
        text: &str,
        add_special: bool,
        parse_special: bool,
    ) -> Result<Vec<Token>, LlamaError> {
        // A token is rarely shorter than two bytes; if the buffer is too small, the first call returns the required
        // size.
        let mut tokens: Vec<Token> = vec![0; text.len() / 2 + 16];
        for _ in 0..2 {
            let capacity = i32::try_from(tokens.len()).unwrap_or(i32::MAX);
            let mut count = 0;
            // SAFETY: the vocabulary lives as long as the model, `text` and `tokens` outlive the call, and `capacity` is
            // the length of `tokens`.
            ffi::call(|error| unsafe {
                ffi::ns_tokenize(
                    self.vocab(),
                    text.into(),
                    add_special,
                    parse_special,
                    tokens.as_mut_ptr(),
                    capacity,
                    &raw mut count,
                    error,
                )
            })
            .map_err(|reason| LlamaError::Input(format!("the tokenizer fails on this text: {reason}")))?;
            tokens.resize(count.unsigned_abs() as usize, 0);
            if count >= 0 {
                return Ok(tokens);
            }
        }
        Err(LlamaError::Input("the text has too many tokens".to_owned()))
    }

    pub(crate) fn vocab(&self) -> *const sys::llama_vocab {
        // SAFETY: the model is live; the vocabulary is part of it.
        unsafe { sys::llama_model_get_vocab(self.raw()) }
    }

    fn special_text(&self, token: Token) -> String {
        let mut bytes = Vec::new();
        self.push_piece(token, true, &mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Rejects encoders, embedders, and files without a vocabulary or with invalid numbers: they load, but fail an
    /// assert during generation.
    fn check_kind(&self) -> Result<(), LlamaError> {
        // SAFETY: the model is live, and its vocabulary with it.
        let generates_text = unsafe {
            sys::llama_model_has_decoder(self.raw())
                && !sys::llama_model_has_encoder(self.raw())
                && sys::llama_vocab_type(self.vocab()) != sys::LLAMA_VOCAB_TYPE_NONE
        };
        if !generates_text || self.vocab_size() == 0 {
            return Err(LlamaError::Unsupported(
                "the file holds no model that generates text from text".to_owned(),
            ));
        }
        // llama.cpp checks these only while computing, where a failed assert cannot be caught.
        let family = self.meta("general.architecture").unwrap_or_default();
        for (key, value) in self.metadata() {
            let own = key.strip_prefix(&family).is_some_and(|rest| rest.starts_with('.'));
            let Ok(number) = value.parse::<f32>() else {
                continue;
            };
            if own && (!number.is_finite() || (number < 0.0 && key.ends_with("epsilon"))) {
                return Err(LlamaError::Load(format!("`{key}` is {number}")));
            }
        }
        Ok(())
    }

    /// Returns all metadata except arrays, as text.
    fn metadata(&self) -> impl Iterator<Item = (String, String)> + '_ {
        // SAFETY: the model is live.
        let count = unsafe { sys::llama_model_meta_count(self.raw()) };
        (0..count).filter_map(|index| {
            let mut key = [0u8; 256];
            // SAFETY: the model is live, and the length is the buffer's; the text is terminated within it.
            unsafe { sys::llama_model_meta_key_by_index(self.raw(), index, key.as_mut_ptr().cast(), key.len()) };
            let key = CStr::from_bytes_until_nul(&key).ok()?.to_str().ok()?.to_owned();
            let value = self.meta(&key)?;
            Some((key, value))
        })
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model")
            .field("description", &self.description())
            .finish_non_exhaustive()
    }
}

struct ModelHandle {
    raw: NonNull<sys::llama_model>,
}

// SAFETY: a loaded model is read-only except for context creation, which `ContextHandle::new` serializes; nothing in it
// is bound to the thread that loaded it.
unsafe impl Send for ModelHandle {}
// SAFETY: as above.
unsafe impl Sync for ModelHandle {}

impl Drop for ModelHandle {
    fn drop(&mut self) {
        // SAFETY: no other owner is left: contexts and samplers hold a `Model`, so all of them were dropped. Trimming throws
        // nothing, and touches only what is free.
        unsafe {
            sys::llama_model_free(self.raw.as_ptr());
            // A vocabulary is hundreds of thousands of small pieces, whose pages the allocator would keep: 25 MB for one of
            // 49,152 tokens, for each thread that ever loaded one.
            ffi::ns_trim_heap();
        }
    }
}

struct LoadProgress<'a> {
    callback: &'a mut dyn FnMut(f32) -> bool,
    cancelled: bool,
    panic: Option<Box<dyn Any + Send>>,
}

unsafe extern "C" fn on_progress(progress: f32, data: ffi::UserData) -> bool {
    // SAFETY: `data` is the `LoadProgress` that `load_with` holds while llama.cpp loads, on the same thread.
    let state = unsafe { &mut *data.cast::<LoadProgress<'_>>() };
    if state.cancelled {
        return false;
    }
    match catch_unwind(AssertUnwindSafe(|| (state.callback)(progress))) {
        Ok(go_on) => state.cancelled = !go_on,
        Err(panic) => {
            state.cancelled = true;
            state.panic = Some(panic);
        }
    }
    !state.cancelled
}

#[cfg(unix)]
fn c_path(path: &Path) -> Result<CString, LlamaError> {
    use std::os::unix::ffi::OsStrExt as _;
    CString::new(path.as_os_str().as_bytes()).map_err(|_| invalid_path())
}

#[cfg(not(unix))]
fn c_path(path: &Path) -> Result<CString, LlamaError> {
    path.to_str()
        .and_then(|path| CString::new(path).ok())
        .ok_or_else(invalid_path)
}

fn invalid_path() -> LlamaError {
    LlamaError::Input("the path contains a NUL byte or is not valid Unicode".to_owned())
}

/// An empty list of devices, as llama.cpp ends one: a null pointer.
static NO_DEVICES: usize = 0;
/// Stack that `std::regex` takes per character of a match: 300 to 600 bytes were measured, by library and optimization.
const WORD_LEVEL_BYTES: usize = 1024;
