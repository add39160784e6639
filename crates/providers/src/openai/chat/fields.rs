//! Every field of a chat completion request, and what becomes of it.

use crate::schema::{Field, MAX_TOKENS, Rule, field};
use gate::terms::Capability;

/// Choices of one answer, and alternatives of one token: the dialect's own limit is 128.
const MAX_CHOICES: u64 = 128;

/// Tool calls of one turn.
const MAX_CALLS: u64 = 4096;

/// The request.
pub(crate) static CHAT: Rule = Rule::Object("the request", CHAT_FIELDS);

static CHAT_FIELDS: &[Field] = &[
    field("model", "model", Rule::Model),
    field("messages", "messages", Rule::List(&MESSAGE)),
    field("audio", "audio", Rule::Refused).asks(Capability::Audio),
    field("frequency_penalty", "frequency_penalty", Rule::Ratio),
    field("function_call", "function_call", CHOICE),
    field("functions", "functions", Rule::List(&FUNCTION)),
    field("logit_bias", "logit_bias", Rule::LogitBias),
    field("logprobs", "logprobs", Rule::Bool),
    field("max_completion_tokens", "max_completion_tokens", Rule::Count(MAX_TOKENS)),
    field("max_tokens", "max_tokens", Rule::Count(MAX_TOKENS)),
    field("metadata", "metadata", Rule::Tree),
    field("min_p", "min_p", Rule::Ratio),
    field("modalities", "modalities", Rule::List(&Rule::OneOf(&["text"]))),
    field("n", "n", Rule::Count(MAX_CHOICES)),
    field("parallel_tool_calls", "parallel_tool_calls", Rule::Bool),
    field("prediction", "prediction", PREDICTION),
    field("presence_penalty", "presence_penalty", Rule::Ratio),
    field("prompt_cache_key", "prompt_cache_key", Rule::Content).asks(Capability::PromptCaching),
    field("prompt_cache_retention", "prompt_cache_retention", Rule::OneOf(&["in_memory", "24h"]))
        .asks_unless(Capability::ExtendedPromptCaching, &["in_memory"]),
    field(
        "reasoning_effort",
        "reasoning_effort",
        Rule::OneOf(&["none", "minimal", "low", "medium", "high", "xhigh"]),
    )
    .asks_unless(Capability::ExtendedThinking, &["none"]),
    field("repetition_penalty", "repetition_penalty", Rule::Ratio),
    field("response_format", "response_format", RESPONSE_FORMAT),
    field("safety_identifier", "safety_identifier", Rule::Content),
    field("seed", "seed", Rule::AnyNumber),
    field(
        "service_tier",
        "service_tier",
        Rule::OneOf(&["auto", "default", "flex", "priority", "scale"]),
    ),
    field("stop", "stop", Rule::Either(&[Rule::Content, Rule::List(&Rule::Content)])),
    // Stored completions are kept by the model server, which no agreement here speaks of.
    field("store", "store", Rule::False).asks(Capability::StoredAnswers),
    field("stream", "stream", Rule::Bool),
    field("stream_options", "stream_options", Rule::Object("stream_options", STREAM_OPTIONS)),
    field("temperature", "temperature", Rule::Ratio),
    field("tool_choice", "tool_choice", CHOICE),
    field("tools", "tools", Rule::List(&Rule::Tagged("tools", TOOLS, &[]))),
    field("top_k", "top_k", Rule::Count(MAX_TOKENS)),
    field("top_logprobs", "top_logprobs", Rule::Count(MAX_CHOICES)),
    field("top_p", "top_p", Rule::Ratio),
    field("user", "user", Rule::Content),
    field("verbosity", "verbosity", Rule::OneOf(&["low", "medium", "high"])),
    field("web_search_options", "web_search_options", Rule::Refused).asks(Capability::WebSearch),
];

static STREAM_OPTIONS: &[Field] = &[
    field("include_usage", "stream_options.include_usage", Rule::Bool),
    field("include_obfuscation", "stream_options.include_obfuscation", Rule::Bool),
];

static MESSAGE: Rule = Rule::Object("messages", MESSAGE_FIELDS);

static MESSAGE_FIELDS: &[Field] = &[
    field(
        "role",
        "messages.role",
        Rule::OneOf(&["system", "developer", "user", "assistant", "tool", "function"]),
    ),
    field("content", "messages.content", Rule::Either(&[Rule::Content, Rule::List(&CONTENT_PART)])),
    field("name", "messages.name", Rule::Content),
    field("refusal", "messages.refusal", Rule::Content),
    field("reasoning", "messages.reasoning", Rule::Content),
    field("reasoning_content", "messages.reasoning_content", Rule::Content),
    field("tool_call_id", "messages.tool_call_id", Rule::Content),
    field("tool_calls", "messages.tool_calls", Rule::List(&TOOL_CALL)),
    field("function_call", "messages.function_call", CALLED),
    field("annotations", "messages.annotations", Rule::Tree),
    field("audio", "messages.audio", Rule::Refused).asks(Capability::Audio),
];

static CONTENT_PART: Rule = Rule::Tagged("messages.content", CONTENT_PARTS, &[]);

/// Images, sound and files need a scanner of their own, so they are not carried.
static CONTENT_PARTS: &[(&str, &[Field])] = &[
    (
        "text",
        &[
            field("type", "messages.content.type", Rule::OneOf(&["text"])),
            field("text", "messages.content.text", Rule::Content),
        ],
    ),
    (
        "refusal",
        &[
            field("type", "messages.content.type", Rule::OneOf(&["refusal"])),
            field("refusal", "messages.content.refusal", Rule::Content),
        ],
    ),
    (
        "image_url",
        &[
            field("type", "messages.content.type", Rule::OneOf(&["image_url"])),
            field("image_url", "messages.content.image_url", Rule::Refused)
                .asks(Capability::Images),
        ],
    ),
    (
        "input_audio",
        &[
            field("type", "messages.content.type", Rule::OneOf(&["input_audio"])),
            field("input_audio", "messages.content.input_audio", Rule::Refused)
                .asks(Capability::Audio),
        ],
    ),
    (
        "file",
        &[
            field("type", "messages.content.type", Rule::OneOf(&["file"])),
            field("file", "messages.content.file", Rule::Refused).asks(Capability::Files),
        ],
    ),
];

static TOOL_CALL: Rule = Rule::Tagged("messages.tool_calls", TOOL_CALLS, &[]);

static TOOL_CALLS: &[(&str, &[Field])] = &[
    (
        "function",
        &[
            field("id", "messages.tool_calls.id", Rule::Content),
            field("index", "messages.tool_calls.index", Rule::Count(MAX_CALLS)),
            field("type", "messages.tool_calls.type", Rule::OneOf(&["function"])),
            field("function", "messages.tool_calls.function", CALLED),
        ],
    ),
    (
        "custom",
        &[
            field("type", "messages.tool_calls.type", Rule::OneOf(&["custom"])),
            field("custom", "messages.tool_calls.custom", Rule::Refused)
                .asks(Capability::CustomTools),
        ],
    ),
];

const CALLED: Rule = Rule::Object("messages.tool_calls.function", CALLED_FIELDS);

static CALLED_FIELDS: &[Field] = &[
    field("name", "messages.tool_calls.function.name", Rule::Content),
    field("arguments", "messages.tool_calls.function.arguments", Rule::Arguments),
    field("parsed_arguments", "messages.tool_calls.function.parsed_arguments", Rule::Tree),
];

static TOOLS: &[(&str, &[Field])] = &[
    (
        "function",
        &[
            field("type", "tools.type", Rule::OneOf(&["function"])),
            field("function", "tools.function", Rule::Object("tools.function", FUNCTION_FIELDS)),
        ],
    ),
    (
        "custom",
        &[
            field("type", "tools.type", Rule::OneOf(&["custom"])),
            field("custom", "tools.custom", Rule::Refused).asks(Capability::CustomTools),
        ],
    ),
];

static FUNCTION: Rule = Rule::Object("functions", FUNCTION_FIELDS);

static FUNCTION_FIELDS: &[Field] = &[
    field("name", "tools.function.name", Rule::Content),
    field("description", "tools.function.description", Rule::Content),
    field("parameters", "tools.function.parameters", Rule::Tree),
    field("strict", "tools.function.strict", Rule::Bool).asks(Capability::StructuredOutputs),
];

const CHOICE: Rule = Rule::Either(&[
    Rule::OneOf(&["none", "auto", "required"]),
    Rule::Object("tool_choice", CHOICE_FIELDS),
]);

static CHOICE_FIELDS: &[Field] = &[
    field("type", "tool_choice.type", Rule::OneOf(&["function"])),
    field("name", "tool_choice.name", Rule::Content),
    field("function", "tool_choice.function", Rule::Object("tool_choice.function", CHOSEN_FIELDS)),
];

static CHOSEN_FIELDS: &[Field] = &[field("name", "tool_choice.function.name", Rule::Content)];

const PREDICTION: Rule = Rule::Tagged("prediction", PREDICTIONS, &[]);

static PREDICTIONS: &[(&str, &[Field])] = &[(
    "content",
    &[
        field("type", "prediction.type", Rule::OneOf(&["content"])),
        field(
            "content",
            "prediction.content",
            Rule::Either(&[Rule::Content, Rule::List(&CONTENT_PART)]),
        ),
    ],
)];

const RESPONSE_FORMAT: Rule = Rule::Tagged("response_format", RESPONSE_FORMATS, &[]);

static RESPONSE_FORMATS: &[(&str, &[Field])] = &[
    ("text", &[field("type", "response_format.type", Rule::OneOf(&["text"]))]),
    ("json_object", &[field("type", "response_format.type", Rule::OneOf(&["json_object"]))]),
    (
        "json_schema",
        &[
            field("type", "response_format.type", Rule::OneOf(&["json_schema"])),
            field(
                "json_schema",
                "response_format.json_schema",
                Rule::Object("response_format.json_schema", SCHEMA_FIELDS),
            )
            .asks(Capability::StructuredOutputs),
        ],
    ),
];

static SCHEMA_FIELDS: &[Field] = &[
    field("name", "response_format.json_schema.name", Rule::Content),
    field("description", "response_format.json_schema.description", Rule::Content),
    field("schema", "response_format.json_schema.schema", Rule::Tree),
    field("strict", "response_format.json_schema.strict", Rule::Bool),
];
