// Sampling with llama.cpp's own chain (`common/sampling.h`): its order of samplers, its handling of grammars (sample first,
// constrain only if the grammar rejects the token), its lazy tool grammars and its thinking budget.
//
// The constraint is one JSON object:
//   {"gbnf": "…", "kind": "user" | "format" | "tools", "lazy": bool, "triggers": [{"type": 0..3, "value": "…", "token": n}],
//    "preserved": ["…"], "generation_prompt": "…", "thinking_start": "…", "thinking_ends": ["…"]}
// where every field is optional; trigger types are the numbers of common_grammar_trigger_type.

#include "guard.h"

#include "common.h"
#include "json.h"
#include "llama-grammar.h"
#include "sampling.h"

struct ns_sampler {
    const llama_model *    model;
    common_params_sampling params;
    common_sampler_ptr     chain;
};

// llama_grammar_parser::parse prints an invalid grammar to stderr, so the same checks run here first.
static void check_grammar(const llama_vocab * vocab, const std::string & gbnf) {
    llama_grammar_parser parser(vocab);
    const char * at = gbnf.c_str();
    while (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n' || *at == '#') {
        if (*at++ == '#') {
            while (*at && *at != '\r' && *at != '\n') {
                at++;
            }
        }
    }
    try {
        while (*at) {
            at = parser.parse_rule(at);
        }
    } catch (const std::exception & e) {
        throw ns::safe_error(e.what());
    }
    for (const auto & [name, id] : parser.symbol_ids) {
        if (id >= parser.rules.size() || parser.rules[id].empty()) {
            throw ns::safe_error("rule `" + name + "` is not defined");
        }
    }
    if (parser.symbol_ids.count("root") == 0) {
        throw ns::safe_error("rule `root` is not defined");
    }
}

static void constrain(const llama_vocab * vocab, const std::string & text, common_params_sampling & params) {
    const common_json json = common_json::parse(text);

    for (const auto & word : json.value("preserved", common_json::array())) {
        const auto tokens = common_tokenize(vocab, word.get<std::string>(), false, true);
        if (tokens.size() == 1) {
            params.preserved_tokens.insert(tokens[0]);
        }
    }

    const std::string gbnf = json.value("gbnf", "");
    if (!gbnf.empty()) {
        check_grammar(vocab, gbnf);
        const std::string kind = json.value("kind", "user");
        params.grammar = common_grammar(kind == "tools"  ? COMMON_GRAMMAR_TYPE_TOOL_CALLS :
                                        kind == "format" ? COMMON_GRAMMAR_TYPE_OUTPUT_FORMAT :
                                                           COMMON_GRAMMAR_TYPE_USER, gbnf);
        params.grammar_lazy = json.value("lazy", false);
    }
    for (const auto & entry : json.value("triggers", common_json::array())) {
        common_grammar_trigger trigger;
        const int type = entry.value("type", -1);
        if (type < COMMON_GRAMMAR_TRIGGER_TYPE_TOKEN || type > COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN_FULL) {
            throw ns::safe_error("unknown kind of grammar trigger");
        }
        trigger.type  = (common_grammar_trigger_type) type;
        trigger.value = entry.value("value", "");
        trigger.token = entry.value("token", (int32_t) LLAMA_TOKEN_NULL);
        if (trigger.type == COMMON_GRAMMAR_TRIGGER_TYPE_WORD) {
            // A word that is a single special token never occurs in the text that patterns are matched against.
            const auto tokens = common_tokenize(vocab, trigger.value, false, true);
            if (tokens.size() == 1 && params.preserved_tokens.count(tokens[0]) > 0) {
                trigger.type  = COMMON_GRAMMAR_TRIGGER_TYPE_TOKEN;
                trigger.token = tokens[0];
            }
        }
        params.grammar_triggers.push_back(std::move(trigger));
    }
    if (params.grammar_lazy && params.grammar_triggers.empty()) {
        throw ns::safe_error("a lazy grammar needs a trigger");
    }

    params.generation_prompt = json.value("generation_prompt", "");
    const std::string start = json.value("thinking_start", "");
    if (!start.empty()) {
        params.reasoning_budget_start = common_tokenize(vocab, start, false, true);
        for (const auto & end : json.value("thinking_ends", common_json::array())) {
            params.reasoning_budget_end.push_back(common_tokenize(vocab, end.get<std::string>(), false, true));
        }
        if (!params.reasoning_budget_end.empty()) {
            params.reasoning_budget_forced = params.reasoning_budget_end.front();
        }
    }
}

static void build(ns_sampler & sampler) {
    auto params   = sampler.params; // a copy: common_sampler_init may modify it
    sampler.chain = common_sampler_ptr(common_sampler_init(sampler.model, params));
}

ns_status ns_sampler_new(const llama_model * model, const ns_sampler_params * given, ns_sampler ** out, ns_text * error) {
    return ns::guarded_asserts(error, false, [&] {
        auto sampler   = std::make_unique<ns_sampler>();
        sampler->model = model;

        auto & params = sampler->params;
        params.no_perf                 = true;
        params.temp                    = given->temperature;
        params.top_k                   = given->top_k;
        params.top_p                   = given->top_p;
        params.min_p                   = given->min_p;
        params.penalty_repeat          = given->repeat_penalty;
        params.penalty_freq            = given->frequency_penalty;
        params.penalty_present         = given->presence_penalty;
        params.penalty_last_n          = given->penalty_last_n;
        params.seed                    = given->seed;
        params.reasoning_budget_tokens = given->thinking_budget;
        params.samplers = {
            COMMON_SAMPLER_TYPE_PENALTIES, COMMON_SAMPLER_TYPE_TOP_K, COMMON_SAMPLER_TYPE_TOP_P,
            COMMON_SAMPLER_TYPE_MIN_P,     COMMON_SAMPLER_TYPE_TEMPERATURE,
        };
        if (params.penalty_repeat == 1.0f && params.penalty_freq == 0.0f && params.penalty_present == 0.0f) {
            params.samplers.erase(params.samplers.begin());
        }
        if (given->temperature <= 0.0f) {
            // The likeliest token, without sorting the others.
            params.top_k = 1;
        }
        if (given->constraint.data) {
            constrain(llama_model_get_vocab(model), ns::to_string(given->constraint), params);
        }
        build(*sampler);
        *out = sampler.release();
    });
}

void ns_sampler_free(ns_sampler * sampler) {
    delete sampler;
}

ns_status ns_sampler_reset(ns_sampler * sampler, ns_text * error) {
    // common_sampler_reset does not reset the grammar and the thinking budget, so the chain is rebuilt.
    return ns::guarded_asserts(error, false, [&] { build(*sampler); });
}

ns_status ns_sampler_observe(ns_sampler * sampler, const llama_token * tokens, size_t count, ns_text * error) {
    return ns::guarded_asserts(error, false, [&] {
        for (size_t i = 0; i < count; i++) {
            common_sampler_accept(sampler->chain.get(), tokens[i], false);
        }
    });
}

ns_status ns_sampler_sample(ns_sampler * sampler, llama_context * context, llama_token * token, ns_text * error) {
    return ns::guarded_asserts(error, false, [&] {
        const float * logits = llama_get_logits_ith(context, -1);
        if (!logits) {
            throw ns::safe_error("there are no logits to sample from");
        }
        // Sorting NaN is undefined behaviour, and a damaged or overflowing model computes it.
        const int32_t n   = llama_vocab_n_tokens(llama_model_get_vocab(sampler->model));
        bool          nan = false;
        for (int32_t i = 0; i < n; i++) {
            nan |= logits[i] != logits[i]; // no early exit, so that the loop is vectorized
        }
        if (nan) {
            throw ns::safe_error("the model computed a logit that is not a number");
        }
        *token = common_sampler_sample(sampler->chain.get(), context, -1);
        common_sampler_accept(sampler->chain.get(), *token, true);
    });
}
