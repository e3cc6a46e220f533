// Chat templates and reply parsers: llama.cpp's own implementation (`common/chat.h`).
//
// Its exceptions may quote messages, so rendering and reply parsing return only our own texts, and those of a template
// that are part of its source.

#include "guard.h"

#include "chat.h"
#include "jinja/lexer.h"
#include "jinja/parser.h"
#include "json-schema-to-grammar.h"
#include "json.h"

struct ns_template {
    common_chat_templates_ptr templates;
};

struct ns_parser {
    common_chat_parser_params params;
};

// Returns the text of a template's `raise_exception("…")` if the template's source contains it verbatim: then its author
// wrote it, and no message is quoted. Else returns an empty string.
static std::string template_message(const std::string & what, const std::string & source) {
    static const std::string mark = "Jinja Exception: ";
    const auto at = what.find(mark);
    if (at == std::string::npos) {
        return "";
    }
    const auto        start = at + mark.size();
    const std::string message = what.substr(start, what.find('\n', start) - start);
    return !message.empty() && source.find(message) != std::string::npos ? message : "";
}

ns_status ns_template_new(const llama_model * model, ns_slice source, ns_slice bos, ns_slice eos, ns_limits * limits,
                          ns_template ** out, ns_text * error) {
    return ns::guarded_asserts(error, true, [&] {
        ns::limit_guard here(limits);
        auto chat       = std::make_unique<ns_template>();
        chat->templates = common_chat_templates_init(model, ns::to_string(source), ns::to_string(bos), ns::to_string(eos));
        *out            = chat.release();
    });
}

ns_status ns_template_check(ns_slice source, ns_slice bos, ns_slice eos, bool run, ns_limits * limits, ns_text * error) {
    return ns::guarded_asserts(error, true, [&] {
        ns::limit_guard here(limits);
        if (run) {
            common_chat_template(ns::to_string(source), ns::to_string(bos), ns::to_string(eos));
            return;
        }
        jinja::lexer lexer;
        jinja::parse_from_tokens(lexer.tokenize(ns::to_string(source)));
    });
}

void ns_template_free(ns_template * chat) {
    delete chat;
}

ns_status ns_template_render(const ns_template * chat, const ns_prompt * prompt, ns_limits * limits, ns_text * json, ns_text * error) {
    return ns::guarded_asserts(error, false, [&] {
        ns::limit_guard here(limits);
        common_chat_templates_inputs inputs;
        try {
            inputs.messages = common_chat_msgs_parse_oaicompat(common_json::parse(ns::to_string(prompt->messages)));
        } catch (const std::exception &) {
            throw ns::safe_error("the messages do not have the format of OpenAI's chat messages");
        }
        if (prompt->tools.data) {
            try {
                inputs.tools = common_chat_tools_parse_oaicompat(common_json::parse(ns::to_string(prompt->tools)));
            } catch (const std::exception &) {
                throw ns::safe_error("the tools do not have the format of OpenAI's function tools");
            }
        }
        const auto caps            = common_chat_templates_get_caps(chat->templates.get());
        const auto parallel        = caps.find("supports_parallel_tool_calls");
        inputs.parallel_tool_calls = parallel != caps.end() && parallel->second;
        inputs.json_schema         = ns::to_string(prompt->json_schema);
        inputs.grammar             = ns::to_string(prompt->grammar);
        inputs.reasoning_format    = COMMON_REASONING_FORMAT_DEEPSEEK;
        inputs.enable_thinking     = prompt->thinking;
        if (prompt->reasoning_effort.data) {
            inputs.chat_template_kwargs["reasoning_effort"] = ns::to_string(prompt->reasoning_effort);
        }
        if (prompt->continue_final) {
            inputs.continue_final_message = COMMON_CHAT_CONTINUATION_AUTO;
            inputs.add_generation_prompt  = false;
        }

        common_chat_params params;
        try {
            params = common_chat_templates_apply(chat->templates.get(), inputs);
        } catch (const std::exception & e) {
            const std::string message = template_message(e.what(), common_chat_templates_source(chat->templates.get()));
            throw ns::safe_error(message.empty() ? "the chat template cannot render these messages"
                                            : "the chat template rejects these messages: " + message);
        }

        common_json triggers = common_json::array();
        for (const auto & trigger : params.grammar_triggers) {
            triggers.push_back({
                { "type",  (int32_t) trigger.type },
                { "value", trigger.value },
                { "token", (int32_t) trigger.token },
            });
        }
        const char * kind = !inputs.grammar.empty() ? "user" : !inputs.tools.empty() ? "tools" : "format";
        common_json out = common_json::object({
            { "prompt",            params.prompt },
            { "grammar",           params.grammar },
            { "grammar_kind",      kind },
            { "grammar_lazy",      params.grammar_lazy },
            { "triggers",          triggers },
            { "stops",             params.additional_stops },
            { "preserved",         params.preserved_tokens },
            { "generation_prompt", params.generation_prompt },
            { "supports_thinking", params.supports_thinking },
            { "thinking_start",    params.thinking_start_tag },
            { "thinking_ends",     params.thinking_end_tags },
            { "format",            (int32_t) params.format },
            { "parser",            params.parser },
        });
        ns::set_text(json, out.dump_safe());
    });
}

ns_status ns_parser_new(int32_t format, ns_slice generation_prompt, ns_slice arena, ns_parser ** out, ns_text * error) {
    return ns::guarded_asserts(error, false, [&] {
        auto parser                      = std::make_unique<ns_parser>();
        parser->params.format            = (common_chat_format) format;
        parser->params.generation_prompt = ns::to_string(generation_prompt);
        parser->params.reasoning_format  = COMMON_REASONING_FORMAT_DEEPSEEK;
        if (arena.data && arena.size > 0) {
            parser->params.parser.load(ns::to_string(arena));
        }
        *out = parser.release();
    });
}

void ns_parser_free(ns_parser * parser) {
    delete parser;
}

ns_status ns_parser_parse(const ns_parser * parser, ns_slice text, bool partial, ns_text * json, ns_text * error) {
    return ns::guarded_asserts(error, false, [&] {
        const common_chat_msg reply = common_chat_parse(ns::to_string(text), partial, parser->params);
        common_json calls = common_json::array();
        for (const auto & call : reply.tool_calls) {
            calls.push_back({ { "id", call.id }, { "name", call.name }, { "arguments", call.arguments } });
        }
        common_json out = common_json::object({
            { "reasoning",  reply.reasoning_content },
            { "content",    reply.content },
            { "tool_calls", calls },
        });
        ns::set_text(json, out.dump_safe());
    });
}

ns_status ns_schema_to_grammar(ns_slice schema, ns_text * grammar, ns_text * error) {
    return ns::guarded_asserts(error, true, [&] {
        ns::set_text(grammar, json_schema_to_grammar(common_json::parse(ns::to_string(schema)), true));
    });
}
