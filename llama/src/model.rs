//! Loaded models: their words and what their file says about them.

#![allow(unsafe_code)]

use std::any::Any;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;

use llama_cpp_sys_2 as sys;

use crate::backend::{Work, check_cpu, during, start};
use crate::{Error, ffi, stack};

/// A word of a model's vocabulary, by number.
pub type Token = i32;

/// Where the weights live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoadMode {
    /// Read once into memory of our own, in the layout that computes fastest. All of it is dirty memory.
    #[default]
    Repacked,
    /// The file is mapped and used as it is: slower, but the system may drop its pages at any time and read them again.
    Mapped,
}

/// How to load a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelParams {
    /// Where the weights live.
    pub load_mode: LoadMode,
    /// How many layers the GPU holds; -1 means all. Without a GPU it changes nothing.
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

/// A loaded model. Cloning shares it; its memory is freed with the last clone, context and sampler.
#[derive(Clone)]
pub struct Model {
    handle: Arc<Handle>,
}

impl Model {
    /// Loads the GGUF file at `path`. `progress` is called with the loaded fraction, 0 to 1; return `false` to cancel.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when `progress` said no, [`Error::Unsupported`] when this processor cannot run it or the file
    /// holds no text generator, [`Error::Load`] for everything that is wrong with the file.
    pub fn load(path: &Path, params: &ModelParams, progress: &mut dyn FnMut(f32) -> bool) -> Result<Self, Error> {
        Self::load_with(path, *params, false, progress)
    }

    /// `simulate`: allocate and read no weights, only plan them.
    pub(crate) fn load_with(
        path: &Path,
        params: ModelParams,
        simulate: bool,
        progress: &mut dyn FnMut(f32) -> bool,
    ) -> Result<Self, Error> {
        check_cpu()?;
        start();
        if params.gpu_layers < -1 {
            return Err(Error::Input("`gpu_layers` is -1 or more".to_owned()));
        }
        let path = c_path(path)?;
        let mut report = Progress {
            callback: progress,
            refused: false,
            panic: None,
        };
        // SAFETY: returns a plain struct.
        let mut raw = unsafe { sys::llama_model_default_params() };
        raw.n_gpu_layers = params.gpu_layers;
        raw.load_mode = match params.load_mode {
            LoadMode::Mapped if !simulate => sys::LLAMA_LOAD_MODE_MMAP,
            // Simulating needs it: llama.cpp cannot both map a file and not allocate.
            _ => sys::LLAMA_LOAD_MODE_NONE,
        };
        raw.use_extra_bufts = params.load_mode == LoadMode::Repacked;
        raw.no_alloc = simulate;
        raw.progress_callback = Some(on_progress);
        raw.progress_callback_user_data = (&raw mut report).cast();

        let mut model = std::ptr::null_mut();
        let (outcome, reason) = during(Work::Load, || {
            // SAFETY: `path` is terminated, `raw` is complete, and `report`, which `raw` points to, outlives the call;
            // llama.cpp keeps the pointer but calls it only while loading.
            ffi::check(|error| unsafe { ffi::ns_model_load(path.as_ptr(), &raw const raw, &raw mut model, error) })
        });
        let Progress { refused, panic, .. } = report;
        // Owned from here, so that nothing below can lose it.
        let handle = NonNull::new(model).map(|raw| Handle { raw });
        if let Some(panic) = panic {
            drop(handle);
            resume_unwind(panic);
        }
        outcome.map_err(Error::Load)?;
        let Some(handle) = handle else {
            return Err(if refused {
                Error::Cancelled
            } else {
                Error::Load(or_unknown(reason))
            });
        };
        let model = Self {
            handle: Arc::new(handle),
        };
        model.check_kind()?;
        Ok(model)
    }

    /// The tokens of `text`. `add_special` puts what the model wants at the start (and end) around it; `parse_special` reads
    /// `<|im_end|>` and its like as the control words they are, which is right for a rendered prompt and wrong for anything
    /// a person wrote.
    ///
    /// # Errors
    /// [`Error::Input`] for more than 2 GiB of text, or what the tokenizer refuses.
    pub fn tokenize(&self, text: &str, add_special: bool, parse_special: bool) -> Result<Vec<Token>, Error> {
        if i32::try_from(text.len()).is_err() {
            return Err(Error::Input("the text is longer than 2 GiB".to_owned()));
        }
        stack::with_room(stack::longest_run(text), WORD_LEVEL, || {
            self.tokenize_here(text, add_special, parse_special)
        })?
    }

    /// Appends the bytes of `token` to `out`: often part of a character, so decode UTF-8 over the whole. `special` writes
    /// control words too; without it they are empty. A number outside the vocabulary adds nothing.
    pub fn push_piece(&self, token: Token, special: bool, out: &mut Vec<u8>) {
        if !self.has_token(token) {
            return;
        }
        let mut room = 32;
        loop {
            let start = out.len();
            out.resize(start + room, 0);
            let capacity = i32::try_from(room).unwrap_or(i32::MAX);
            // SAFETY: the vocabulary lives as long as the model, the token is in it, and `capacity` bytes are free at the
            // pointer.
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

    /// Whether `token` ends a reply.
    pub fn is_end(&self, token: Token) -> bool {
        // SAFETY: the vocabulary lives as long as the model, and the token is in it.
        self.has_token(token) && unsafe { sys::llama_vocab_is_eog(self.vocab(), token) }
    }

    /// Whether the model wants its begin-of-text token before a text.
    pub fn adds_bos(&self) -> bool {
        // SAFETY: the vocabulary lives as long as the model.
        unsafe { sys::llama_vocab_get_add_bos(self.vocab()) }
    }

    /// The begin-of-text token, written out; empty if there is none.
    pub fn bos_text(&self) -> String {
        // SAFETY: the vocabulary lives as long as the model.
        self.special_text(unsafe { sys::llama_vocab_bos(self.vocab()) })
    }

    /// The end-of-text token, written out; empty if there is none.
    pub fn eos_text(&self) -> String {
        // SAFETY: the vocabulary lives as long as the model.
        self.special_text(unsafe { sys::llama_vocab_eos(self.vocab()) })
    }

    /// One value of the file's metadata, as text: `general.name`, `tokenizer.chat_template`, … Arrays are not given.
    pub fn meta(&self, key: &str) -> Option<String> {
        let key = CString::new(key).ok()?;
        let mut buffer = vec![0u8; 256];
        loop {
            // SAFETY: the model is live, `key` is terminated and the buffer is as long as is said.
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

    /// Tokens of context that the model was trained with.
    pub fn context_train(&self) -> u32 {
        // SAFETY: the model is live.
        u32::try_from(unsafe { sys::llama_model_n_ctx_train(self.raw()) }).unwrap_or_default()
    }

    /// Number of tokens in the vocabulary.
    pub fn vocab_size(&self) -> u32 {
        // SAFETY: the vocabulary lives as long as the model.
        u32::try_from(unsafe { sys::llama_vocab_n_tokens(self.vocab()) }).unwrap_or_default()
    }

    /// Number of parameters.
    pub fn parameters(&self) -> u64 {
        // SAFETY: the model is live.
        unsafe { sys::llama_model_n_params(self.raw()) }
    }

    /// Bytes of all tensors.
    pub fn size(&self) -> u64 {
        // SAFETY: the model is live.
        unsafe { sys::llama_model_size(self.raw()) }
    }

    /// Family, size and quantization in llama.cpp's words, like `llama 135M Q4_1`.
    pub fn description(&self) -> String {
        let mut buffer = [0u8; 256];
        // SAFETY: the model is live and the buffer is as long as is said; the text is terminated within it.
        unsafe { sys::llama_model_desc(self.raw(), buffer.as_mut_ptr().cast(), buffer.len()) };
        CStr::from_bytes_until_nul(&buffer)
            .map(|text| text.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    /// The tokens that `words` are, of those that are one token each. A reply keeps these visible
    /// ([`push_piece`](Self::push_piece) with `special`), because its parser looks for them.
    ///
    /// # Errors
    /// Those of [`tokenize`](Self::tokenize).
    pub fn single_tokens(&self, words: &[String]) -> Result<Vec<Token>, Error> {
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

    pub(crate) fn same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.handle, &other.handle)
    }

    pub(crate) fn raw(&self) -> *mut sys::llama_model {
        self.handle.raw.as_ptr()
    }

    fn tokenize_here(&self, text: &str, add_special: bool, parse_special: bool) -> Result<Vec<Token>, Error> {
        // A token is rarely less than two bytes; when it is, the first call says how much room is needed.
        let mut tokens: Vec<Token> = vec![0; text.len() / 2 + 16];
        for _ in 0..2 {
            let capacity = i32::try_from(tokens.len()).unwrap_or(i32::MAX);
            let mut count = 0;
            // SAFETY: the vocabulary lives as long as the model, `text` and `tokens` outlive the call, and `capacity` is
            // the length of `tokens`.
            ffi::check(|error| unsafe {
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
            .map_err(|reason| Error::Input(format!("the tokenizer fails on this text: {}", or_unknown(reason))))?;
            tokens.resize(count.unsigned_abs() as usize, 0);
            if count >= 0 {
                return Ok(tokens);
            }
        }
        Err(Error::Input("the text has too many tokens".to_owned()))
    }

    fn vocab(&self) -> *const sys::llama_vocab {
        // SAFETY: the model is live; the vocabulary is part of it.
        unsafe { sys::llama_model_get_vocab(self.raw()) }
    }

    fn special_text(&self, token: Token) -> String {
        let mut bytes = Vec::new();
        self.push_piece(token, true, &mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Encoders, embedders, files without words and files with absurd numbers load well, and then fail asserts when asked
    /// to speak.
    fn check_kind(&self) -> Result<(), Error> {
        // SAFETY: the model is live, and its vocabulary with it.
        let speaks = unsafe {
            sys::llama_model_has_decoder(self.raw())
                && !sys::llama_model_has_encoder(self.raw())
                && sys::llama_vocab_type(self.vocab()) != sys::LLAMA_VOCAB_TYPE_NONE
        };
        if !speaks || self.vocab_size() == 0 {
            return Err(Error::Unsupported(
                "the file holds no model that generates text from text".to_owned(),
            ));
        }
        // What llama.cpp looks at only while computing, where a failed assert cannot be caught.
        let family = self.meta("general.architecture").unwrap_or_default();
        for (key, value) in self.metadata() {
            let own = key.strip_prefix(&family).is_some_and(|rest| rest.starts_with('.'));
            let Ok(number) = value.parse::<f32>() else {
                continue;
            };
            if own && (!number.is_finite() || (number < 0.0 && key.ends_with("epsilon"))) {
                return Err(Error::Load(format!("`{key}` is {number}")));
            }
        }
        Ok(())
    }

    /// All that is not an array, as text.
    fn metadata(&self) -> impl Iterator<Item = (String, String)> + '_ {
        // SAFETY: the model is live.
        let count = unsafe { sys::llama_model_meta_count(self.raw()) };
        (0..count).filter_map(|index| {
            let mut key = [0u8; 256];
            // SAFETY: the model is live and the buffer is as long as is said; the text is terminated within it.
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

struct Handle {
    raw: NonNull<sys::llama_model>,
}

// SAFETY: a model is read-only once loaded, but for context creation, which `Context::new` serialises; nothing in it is
// bound to the thread that loaded it.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: ours alone now: contexts and samplers hold a `Model`, so all of them are gone.
        unsafe { sys::llama_model_free(self.raw.as_ptr()) }
    }
}

struct Progress<'a> {
    callback: &'a mut dyn FnMut(f32) -> bool,
    refused: bool,
    panic: Option<Box<dyn Any + Send>>,
}

unsafe extern "C" fn on_progress(progress: f32, data: ffi::UserData) -> bool {
    // SAFETY: `data` is the `Progress` that `load_with` holds while llama.cpp loads, on the same thread.
    let report = unsafe { &mut *data.cast::<Progress<'_>>() };
    if report.refused {
        return false;
    }
    match catch_unwind(AssertUnwindSafe(|| (report.callback)(progress))) {
        Ok(go_on) => report.refused = !go_on,
        Err(panic) => {
            report.refused = true;
            report.panic = Some(panic);
        }
    }
    !report.refused
}

fn or_unknown(reason: String) -> String {
    if reason.is_empty() {
        "llama.cpp gives no reason".to_owned()
    } else {
        reason
    }
}

#[cfg(unix)]
fn c_path(path: &Path) -> Result<CString, Error> {
    use std::os::unix::ffi::OsStrExt as _;
    CString::new(path.as_os_str().as_bytes()).map_err(|_| no_path())
}

#[cfg(not(unix))]
fn c_path(path: &Path) -> Result<CString, Error> {
    path.to_str()
        .and_then(|path| CString::new(path).ok())
        .ok_or_else(no_path)
}

fn no_path() -> Error {
    Error::Input("the path holds what no path can hold".to_owned())
}

/// Stack that `std::regex` takes for a character of one match: 300 to 600 bytes were seen, by library and optimisation.
const WORD_LEVEL: usize = 1024;
