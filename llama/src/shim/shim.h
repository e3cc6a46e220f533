// The C interface of the shim, for parts of llama.cpp that have only a C++ API or whose C functions can throw.
//
// Guarantees: no exception leaves a function; every function that can fail returns an ns_status and, unless that is NS_OK,
// a text with the reason, which never contains any of a prompt or a reply. Texts are freed with ns_text_free.
// The Rust side of this file is src/ffi.rs; both must declare the same.
#pragma once

#include "llama.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ns_text {
    char * data; // not terminated; NULL when empty
    size_t size;
} ns_text;

typedef struct ns_slice {
    const char * data; // UTF-8, not terminated; NULL means absent
    size_t       size;
} ns_slice;

typedef enum ns_status {
    NS_OK       = 0,
    NS_FAILED   = 1, // rejected or thrown; the text has the reason
    NS_ASSERTED = 2, // a GGML_ASSERT failed; partially built C objects are leaked
} ns_status;

void ns_text_free(ns_text text);

// Call once per process, before all else. Sends logs to `log` and turns off the loggers that print.
void ns_init(ggml_log_callback log);

// Models and contexts -----------------------------------------------------------------------------------------------

ns_status ns_model_load(const char * path, const struct llama_model_params * params, struct llama_model ** model, ns_text * error);
ns_status ns_context_new(struct llama_model * model, const struct llama_context_params * params, struct llama_context ** context, ns_text * error);
// Moves the cache to huge pages, see huge_pages.h. Takes less than half a second.
ns_status ns_context_use_huge_pages(const struct llama_context * context, ns_text * error);
// Whether llama.cpp computes attention without the matrix of all products, which it turns off for some models.
bool      ns_context_has_flash_attention(const struct llama_context * context);
// `count` is the number of tokens; negative if `capacity` was too small (then its absolute value suffices).
ns_status ns_tokenize(const struct llama_vocab * vocab, ns_slice text, bool add_special, bool parse_special,
                      llama_token * tokens, int32_t capacity, int32_t * count, ns_text * error);
// `result` is the return value of llama_decode.
ns_status ns_decode(struct llama_context * context, struct llama_batch batch, int32_t * result, ns_text * error);
// `json`: [{"buffer", "weights", "cache", "compute"}], bytes.
ns_status ns_memory(const struct llama_context * context, ns_text * json, ns_text * error);
ns_status ns_threadpool_new(uint32_t threads, struct ggml_threadpool ** pool, ns_text * error);
// Gives freed pages of the heap back to the system, where the allocator would keep them.
void      ns_trim_heap(void);
// Physical cores of the fastest kind, where the system says; 0: unknown.
uint32_t  ns_performance_cores(void);
// Fails a GGML_ASSERT on purpose, inside the guard that loading uses: for the test of the guard.
ns_status ns_assert_for_test(ns_text * error);
// Moves mapped memory to huge pages as a load does, for the test of its bounds.
bool      ns_collapse_for_test(uint8_t * at, size_t size, uint32_t most_ms, llama_progress_callback go_on, void * data);
// Reaches a limit in a function that must not throw, for the test of what happens then.
ns_status ns_stuck_for_test(struct ns_limits * limits, ns_text * error);

// Sampling ----------------------------------------------------------------------------------------------------------

typedef struct ns_sampler ns_sampler;

typedef struct ns_sampler_params {
    float    temperature;
    int32_t  top_k;
    float    top_p;
    float    min_p;
    float    repeat_penalty;
    float    frequency_penalty;
    float    presence_penalty;
    int32_t  penalty_last_n;
    uint32_t seed;
    int32_t  thinking_budget; // negative: no limit
    ns_slice constraint;      // JSON, see sampler.cpp; absent: free text
} ns_sampler_params;

ns_status ns_sampler_new(const struct llama_model * model, const ns_sampler_params * params, ns_sampler ** sampler, ns_text * error);
void      ns_sampler_free(ns_sampler * sampler);
ns_status ns_sampler_reset(ns_sampler * sampler, ns_text * error);
ns_status ns_sampler_observe(ns_sampler * sampler, const llama_token * tokens, size_t count, ns_text * error);
ns_status ns_sampler_sample(ns_sampler * sampler, struct llama_context * context, llama_token * token, ns_text * error);

// Chat --------------------------------------------------------------------------------------------------------------

typedef struct ns_template ns_template;
typedef struct ns_parser   ns_parser;

typedef struct ns_prompt {
    ns_slice messages;    // JSON array in OpenAI's format
    ns_slice tools;       // JSON array in OpenAI's format; absent: none
    ns_slice json_schema; // absent: none
    ns_slice grammar;     // GBNF; absent: none
    ns_slice reasoning_effort; // JSON string for the template's variable of this name; absent: not set
    bool     thinking;
    bool     continue_final;
} ns_prompt;

typedef enum ns_limit {
    NS_WITHIN  = 0,
    NS_STOPPED = 1,
    NS_MEMORY  = 2,
    NS_STACK   = 3,
} ns_limit;

// What a call may take before it fails; see limits.h.
typedef struct ns_limits {
    bool (*is_stopped)(void * data);
    void (*on_stuck)(void * data); // the thread will never return
    void *  data;
    size_t  memory; // bytes
    size_t  stack;  // bytes below the call
    int32_t reached; // out: an ns_limit; NS_WITHIN before the call
} ns_limits;

// Takes the model's own template, or `source` if there is no model, and runs it on trial messages.
ns_status ns_template_new(const struct llama_model * model, ns_slice source, ns_slice bos, ns_slice eos, ns_limits * limits,
                          ns_template ** chat, ns_text * error);
void      ns_template_free(ns_template * chat);
// Parses `source`, and runs it on trial messages if `run`.
ns_status ns_template_check(ns_slice source, ns_slice bos, ns_slice eos, bool run, ns_limits * limits, ns_text * error);
// `json`: see chat.cpp.
ns_status ns_template_render(const ns_template * chat, const ns_prompt * prompt, ns_limits * limits, ns_text * json, ns_text * error);
ns_status ns_parser_new(int32_t format, ns_slice generation_prompt, ns_slice arena, ns_parser ** parser, ns_text * error);
void      ns_parser_free(ns_parser * parser);
// `json`: {"reasoning", "content", "tool_calls": [{"id", "name", "arguments"}]}.
ns_status ns_parser_parse(const ns_parser * parser, ns_slice text, bool partial, ns_text * json, ns_text * error);
ns_status ns_schema_to_grammar(ns_slice schema, ns_text * grammar, ns_text * error);

#ifdef __cplusplus
}
#endif
