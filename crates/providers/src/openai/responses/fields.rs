//! Every field of a request for a response, and what becomes of it.

use crate::schema::{Field, Kind, MAX_TOKENS, Rule, field, kind};
use gate::terms::Capability;

/// Alternatives of one token: the dialect's own limit is 20.
const MAX_ALTERNATIVES: u64 = 128;

/// Tool calls of one response.
const MAX_CALLS: u64 = 4096;

pub(crate) static RESPONSES: Rule = Rule::Object("the request", RESPONSE_FIELDS);

static RESPONSE_FIELDS: &[Field] = &[
    field("model", "model", Rule::Model),
    field("input", "input", Rule::Either(&[Rule::Content, Rule::List(&ITEM)])),
    // A response that goes on without its caller would have to be kept by the model server.
    field("background", "background", Rule::False).asks(Capability::Background),
    field("context_management", "context_management", Rule::Refused)
        .asks(Capability::ContextManagement),
    field("conversation", "conversation", Rule::Refused).asks(Capability::Threads),
    field(
        "include",
        "include",
        Rule::List(&Rule::OneOf(&["reasoning.encrypted_content", "message.output_text.logprobs"])),
    ),
    field("instructions", "instructions", Rule::Content),
    field("max_output_tokens", "max_output_tokens", Rule::Count(MAX_TOKENS)),
    field("max_tool_calls", "max_tool_calls", Rule::Count(MAX_CALLS)),
    field("metadata", "metadata", Rule::Tree),
    field("parallel_tool_calls", "parallel_tool_calls", Rule::Bool),
    field("previous_response_id", "previous_response_id", Rule::Refused).asks(Capability::Threads),
    field("prompt", "prompt", Rule::Refused).asks(Capability::StoredPrompts),
    field("prompt_cache_key", "prompt_cache_key", Rule::Content).asks(Capability::PromptCaching),
    field("prompt_cache_retention", "prompt_cache_retention", Rule::OneOf(&["in_memory", "24h"]))
        .asks_unless(Capability::ExtendedPromptCaching, &["in_memory"]),
    field("reasoning", "reasoning", Rule::Object("reasoning", REASONING)),
    field("safety_identifier", "safety_identifier", Rule::Content),
    field(
        "service_tier",
        "service_tier",
        Rule::OneOf(&["auto", "default", "flex", "priority", "scale"]),
    ),
    // The model server keeps nothing, whatever is asked for here: what leaves says `false`.
    field("store", "store", Rule::Bool).asks(Capability::StoredAnswers),
    field("stream", "stream", Rule::Bool),
    field("stream_options", "stream_options", Rule::Object("stream_options", STREAM_OPTIONS)),
    field("temperature", "temperature", Rule::Ratio),
    field("text", "text", Rule::Object("text", TEXT)),
    field(
        "tool_choice",
        "tool_choice",
        Rule::Either(&[
            Rule::OneOf(&["none", "auto", "required"]),
            Rule::Object("tool_choice", CHOICE),
        ]),
    ),
    field("tools", "tools", Rule::List(&Rule::Tagged("tools", TOOLS, VENDOR_TOOLS))),
    field("top_logprobs", "top_logprobs", Rule::Count(MAX_ALTERNATIVES)),
    field("top_p", "top_p", Rule::Ratio),
    field("truncation", "truncation", Rule::OneOf(&["auto", "disabled"])),
    field("user", "user", Rule::Content),
];

static STREAM_OPTIONS: &[Field] =
    &[field("include_obfuscation", "stream_options.include_obfuscation", Rule::Bool)];

static REASONING: &[Field] = &[
    field(
        "effort",
        "reasoning.effort",
        Rule::OneOf(&["none", "minimal", "low", "medium", "high", "xhigh"]),
    )
    .asks_unless(Capability::ExtendedThinking, &["none"]),
    field(
        "generate_summary",
        "reasoning.generate_summary",
        Rule::OneOf(&["auto", "concise", "detailed"]),
    )
    .asks(Capability::ExtendedThinking),
    field("summary", "reasoning.summary", Rule::OneOf(&["auto", "concise", "detailed"]))
        .asks(Capability::ExtendedThinking),
];

static TEXT: &[Field] = &[
    field("format", "text.format", Rule::Tagged("text.format", FORMATS, &[])),
    field("verbosity", "text.verbosity", Rule::OneOf(&["low", "medium", "high"])),
];

static FORMATS: &[(&str, &[Field])] = &[
    ("text", &[field("type", "text.format.type", Rule::OneOf(&["text"]))]),
    ("json_object", &[field("type", "text.format.type", Rule::OneOf(&["json_object"]))]),
    (
        "json_schema",
        &[
            field("type", "text.format.type", Rule::OneOf(&["json_schema"])),
            field("name", "text.format.name", Rule::Content),
            field("description", "text.format.description", Rule::Content),
            field("schema", "text.format.schema", Rule::Tree).asks(Capability::StructuredOutputs),
            field("strict", "text.format.strict", Rule::Bool),
        ],
    ),
];

static CHOICE: &[Field] = &[
    field("type", "tool_choice.type", Rule::OneOf(&["function"])),
    field("name", "tool_choice.name", Rule::Content),
];

/// Tools that the model server would run itself reach further than the path that was checked.
static TOOLS: &[(&str, &[Field])] = &[(
    "function",
    &[
        field("type", "tools.type", Rule::OneOf(&["function"])),
        field("name", "tools.name", Rule::Content),
        field("description", "tools.description", Rule::Content),
        field("parameters", "tools.parameters", Rule::Tree),
        field("strict", "tools.strict", Rule::Bool).asks(Capability::StructuredOutputs),
    ],
)];

/// What the vendor's own tools are called, and what they leave behind in a conversation.
static VENDOR_TOOLS: &[Kind] = &[
    kind("apply_patch", Capability::CodeExecution),
    kind("code_interpreter", Capability::CodeExecution),
    kind("computer", Capability::ComputerUse),
    kind("custom", Capability::CustomTools),
    kind("file_search", Capability::FileSearch),
    kind("image_generation", Capability::ImageGeneration),
    kind("local_shell", Capability::CodeExecution),
    kind("mcp", Capability::Mcp),
    kind("namespace", Capability::ToolSearch),
    kind("shell", Capability::CodeExecution),
    kind("tool_search", Capability::ToolSearch),
    kind("web_search", Capability::WebSearch),
    // Items that stand for what the vendor keeps, or made smaller by itself.
    kind("compaction", Capability::ContextManagement),
    kind("item_reference", Capability::Threads),
];

static ITEM: Rule = Rule::Tagged("input", ITEMS, VENDOR_TOOLS);

const STATUS: Rule = Rule::OneOf(&["in_progress", "completed", "incomplete"]);

static ITEMS: &[(&str, &[Field])] = &[
    ("", MESSAGE),
    ("message", MESSAGE),
    (
        "function_call",
        &[
            field("type", "input.type", Rule::OneOf(&["function_call"])),
            field("id", "input.id", Rule::Content),
            field("call_id", "input.call_id", Rule::Content),
            field("name", "input.name", Rule::Content),
            field("arguments", "input.arguments", Rule::Arguments),
            field("parsed_arguments", "input.parsed_arguments", Rule::Tree),
            field("status", "input.status", STATUS),
        ],
    ),
    (
        "function_call_output",
        &[
            field("type", "input.type", Rule::OneOf(&["function_call_output"])),
            field("id", "input.id", Rule::Content),
            field("call_id", "input.call_id", Rule::Content),
            field("output", "input.output", CONTENTS),
            field("status", "input.status", STATUS),
        ],
    ),
    (
        "reasoning",
        &[
            field("type", "input.type", Rule::OneOf(&["reasoning"])),
            field("id", "input.id", Rule::Content),
            field("summary", "input.summary", Rule::List(&REASONING_PART)),
            field("content", "input.content", Rule::List(&REASONING_PART)),
            field("encrypted_content", "input.encrypted_content", Rule::Signed),
            field("status", "input.status", STATUS),
        ],
    ),
];

static MESSAGE: &[Field] = &[
    field("type", "input.type", Rule::OneOf(&["message"])),
    field("id", "input.id", Rule::Content),
    field("role", "input.role", Rule::OneOf(&["system", "developer", "user", "assistant"])),
    field("content", "input.content", CONTENTS),
    field("phase", "input.phase", Rule::OneOf(&["commentary", "final_answer"])),
    field("status", "input.status", STATUS),
];

const CONTENTS: Rule = Rule::Either(&[Rule::Content, Rule::List(&CONTENT_PART)]);

static CONTENT_PART: Rule = Rule::Tagged("input.content", CONTENT_PARTS, &[]);

/// Images, sound and files need a scanner of their own, so they are not carried.
static CONTENT_PARTS: &[(&str, &[Field])] = &[
    (
        "input_text",
        &[
            field("type", "input.content.type", Rule::OneOf(&["input_text"])),
            field("text", "input.content.text", Rule::Content),
        ],
    ),
    (
        "output_text",
        &[
            field("type", "input.content.type", Rule::OneOf(&["output_text"])),
            field("text", "input.content.text", Rule::Content),
            field("annotations", "input.content.annotations", Rule::Tree),
            field("logprobs", "input.content.logprobs", Rule::Tree),
            field("parsed", "input.content.parsed", Rule::Tree),
        ],
    ),
    (
        "refusal",
        &[
            field("type", "input.content.type", Rule::OneOf(&["refusal"])),
            field("refusal", "input.content.refusal", Rule::Content),
        ],
    ),
    (
        "input_image",
        &[
            field("type", "input.content.type", Rule::OneOf(&["input_image"])),
            field("detail", "input.content.detail", Rule::OneOf(&["low", "high", "auto"])),
            field("image_url", "input.content.image_url", Rule::Refused).asks(Capability::Images),
            field("file_id", "input.content.file_id", Rule::Refused).asks(Capability::Files),
        ],
    ),
    (
        "input_file",
        &[
            field("type", "input.content.type", Rule::OneOf(&["input_file"])),
            field("file_data", "input.content.file_data", Rule::Refused)
                .asks(Capability::Documents),
            field("file_id", "input.content.file_id", Rule::Refused).asks(Capability::Files),
            field("file_url", "input.content.file_url", Rule::Refused).asks(Capability::WebFetch),
            field("filename", "input.content.filename", Rule::Content),
        ],
    ),
];

static REASONING_PART: Rule = Rule::Tagged("input.summary", REASONING_PARTS, &[]);

static REASONING_PARTS: &[(&str, &[Field])] = &[
    (
        "summary_text",
        &[
            field("type", "input.summary.type", Rule::OneOf(&["summary_text"])),
            field("text", "input.summary.text", Rule::Content),
        ],
    ),
    (
        "reasoning_text",
        &[
            field("type", "input.content.type", Rule::OneOf(&["reasoning_text"])),
            field("text", "input.content.text", Rule::Content),
        ],
    ),
];
