//! Every field of a request for a message, and what becomes of it.

use crate::schema::{Field, Kind, MAX_TOKENS, Rule, field, kind};
use gate::terms::Capability;

pub(crate) static MESSAGES: Rule = Rule::Object("the request", MESSAGE_FIELDS);

/// A request to count tokens is one for a message without what only an answer needs.
pub(crate) static COUNT_TOKENS: Rule = Rule::Object("the request", MESSAGE_FIELDS);

static MESSAGE_FIELDS: &[Field] = &[
    field("model", "model", Rule::Model),
    field("messages", "messages", Rule::List(&TURN)),
    field("cache_control", "cache_control", CACHE_CONTROL).asks(Capability::PromptCaching),
    field("container", "container", Rule::Refused).asks(Capability::Containers),
    field("context_management", "context_management", Rule::Refused)
        .asks(Capability::ContextManagement),
    field("max_tokens", "max_tokens", Rule::Count(MAX_TOKENS)),
    field("mcp_servers", "mcp_servers", Rule::Refused).asks(Capability::Mcp),
    field("metadata", "metadata", Rule::Object("metadata", METADATA)),
    field("output_config", "output_config", Rule::Object("output_config", OUTPUT_CONFIG)),
    field("output_format", "output_format", Rule::Object("output_format", OUTPUT_FORMAT))
        .asks(Capability::StructuredOutputs),
    field("service_tier", "service_tier", Rule::OneOf(&["auto", "standard_only"])),
    field("stop_sequences", "stop_sequences", Rule::List(&Rule::Content)),
    field("stream", "stream", Rule::Bool),
    field("system", "system", Rule::Either(&[Rule::Content, Rule::List(&BLOCK)])),
    field("temperature", "temperature", Rule::Ratio),
    field("thinking", "thinking", Rule::Object("thinking", THINKING)),
    field("tool_choice", "tool_choice", Rule::Object("tool_choice", CHOICE)),
    field("tools", "tools", Rule::List(&Rule::Tagged("tools", TOOLS, VENDOR_TOOLS))),
    field("top_k", "top_k", Rule::Count(MAX_TOKENS)),
    field("top_p", "top_p", Rule::Ratio),
];

const CACHE_CONTROL: Rule = Rule::Object("cache_control", CACHE_FIELDS);

static CACHE_FIELDS: &[Field] = &[
    field("type", "cache_control.type", Rule::OneOf(&["ephemeral"])),
    field("ttl", "cache_control.ttl", Rule::OneOf(&["5m", "1h"])),
];

static METADATA: &[Field] = &[field("user_id", "metadata.user_id", Rule::Content)];

static OUTPUT_CONFIG: &[Field] = &[
    field(
        "effort",
        "output_config.effort",
        Rule::OneOf(&["low", "medium", "high", "xhigh", "max"]),
    ),
    field("format", "output_config.format", Rule::Object("output_config.format", OUTPUT_FORMAT))
        .asks(Capability::StructuredOutputs),
];

static OUTPUT_FORMAT: &[Field] = &[
    field("type", "output_format.type", Rule::OneOf(&["json_schema"])),
    field("schema", "output_format.schema", Rule::Tree),
];

static THINKING: &[Field] = &[
    field("type", "thinking.type", Rule::OneOf(&["enabled", "disabled", "adaptive"]))
        .asks_unless(Capability::ExtendedThinking, &["disabled"]),
    field("budget_tokens", "thinking.budget_tokens", Rule::Count(MAX_TOKENS)),
    field("display", "thinking.display", Rule::OneOf(&["summarized", "omitted"])),
];

static CHOICE: &[Field] = &[
    field("type", "tool_choice.type", Rule::OneOf(&["auto", "any", "tool", "none"])),
    field("name", "tool_choice.name", Rule::Content),
    field("disable_parallel_tool_use", "tool_choice.disable_parallel_tool_use", Rule::Bool),
];

/// Tools that the model server would run itself reach further than the path that was checked.
static TOOLS: &[(&str, &[Field])] = &[("", TOOL), ("custom", TOOL)];

/// What the vendor's own tools are called, and what they leave behind in a conversation. Some of them
/// run at the caller's, but their schemas are the vendor's and not in the request.
static VENDOR_TOOLS: &[Kind] = &[
    kind("advisor", Capability::ToolSearch),
    kind("bash", Capability::ComputerUse),
    kind("code_execution", Capability::CodeExecution),
    kind("computer", Capability::ComputerUse),
    kind("mcp", Capability::Mcp),
    kind("memory", Capability::Memory),
    kind("text_editor", Capability::ComputerUse),
    kind("tool_search", Capability::ToolSearch),
    kind("web_fetch", Capability::WebFetch),
    kind("web_search", Capability::WebSearch),
    // Blocks: of any such tool, of a file put into its container, of a summary that the vendor made.
    kind("compaction", Capability::ContextManagement),
    kind("container_upload", Capability::Containers),
    kind("server_tool_use", Capability::CodeExecution),
    kind("tool_reference", Capability::ToolSearch),
];

static TOOL: &[Field] = &[
    field("type", "tools.type", Rule::OneOf(&["custom"])),
    field("name", "tools.name", Rule::Content),
    field("description", "tools.description", Rule::Content),
    field("input_schema", "tools.input_schema", Rule::Tree),
    field("input_examples", "tools.input_examples", Rule::Tree),
    field("cache_control", "tools.cache_control", CACHE_CONTROL).asks(Capability::PromptCaching),
    field("defer_loading", "tools.defer_loading", Rule::False).asks(Capability::ToolSearch),
    field("eager_input_streaming", "tools.eager_input_streaming", Rule::Bool),
    field("strict", "tools.strict", Rule::Bool).asks(Capability::StructuredOutputs),
];

static TURN: Rule = Rule::Object("messages", TURN_FIELDS);

static TURN_FIELDS: &[Field] = &[
    field("role", "messages.role", Rule::OneOf(&["user", "assistant", "system"])),
    field("content", "messages.content", Rule::Either(&[Rule::Content, Rule::List(&BLOCK)])),
];

static BLOCK: Rule = Rule::Tagged("messages.content", BLOCKS, VENDOR_TOOLS);

const CITATIONS: Rule = Rule::Tree;

/// Images and files need a scanner of their own, so they are not carried; documents of plain text
/// are.
static BLOCKS: &[(&str, &[Field])] = &[
    (
        "text",
        &[
            field("type", "messages.content.type", Rule::OneOf(&["text"])),
            field("text", "messages.content.text", Rule::Content),
            field("citations", "messages.content.citations", CITATIONS),
            field("cache_control", "messages.content.cache_control", CACHE_CONTROL)
                .asks(Capability::PromptCaching),
            field("parsed_output", "messages.content.parsed_output", Rule::Tree),
        ],
    ),
    (
        "thinking",
        &[
            field("type", "messages.content.type", Rule::OneOf(&["thinking"])),
            field("thinking", "messages.content.thinking", Rule::Signed),
            field("signature", "messages.content.signature", Rule::Signed),
        ],
    ),
    (
        "redacted_thinking",
        &[
            field("type", "messages.content.type", Rule::OneOf(&["redacted_thinking"])),
            field("data", "messages.content.data", Rule::Signed),
        ],
    ),
    (
        "tool_use",
        &[
            field("type", "messages.content.type", Rule::OneOf(&["tool_use"])),
            field("id", "messages.content.id", Rule::Content),
            field("name", "messages.content.name", Rule::Content),
            field("input", "messages.content.input", Rule::Tree),
            field("cache_control", "messages.content.cache_control", CACHE_CONTROL)
                .asks(Capability::PromptCaching),
            field("caller", "messages.content.caller", Rule::Tree),
        ],
    ),
    (
        "tool_result",
        &[
            field("type", "messages.content.type", Rule::OneOf(&["tool_result"])),
            field("tool_use_id", "messages.content.tool_use_id", Rule::Content),
            field(
                "content",
                "messages.content.content",
                Rule::Either(&[Rule::Content, Rule::List(&BLOCK)]),
            ),
            field("is_error", "messages.content.is_error", Rule::Bool),
            field("cache_control", "messages.content.cache_control", CACHE_CONTROL)
                .asks(Capability::PromptCaching),
        ],
    ),
    (
        "document",
        &[
            field("type", "messages.content.type", Rule::OneOf(&["document"])),
            field(
                "source",
                "messages.content.source",
                Rule::Tagged("messages.content.source", SOURCES, &[]),
            ),
            field("title", "messages.content.title", Rule::Content),
            field("context", "messages.content.context", Rule::Content),
            field(
                "citations",
                "messages.content.citations",
                Rule::Object("messages.content.citations", CITING),
            ),
            field("cache_control", "messages.content.cache_control", CACHE_CONTROL)
                .asks(Capability::PromptCaching),
        ],
    ),
    (
        "search_result",
        &[
            field("type", "messages.content.type", Rule::OneOf(&["search_result"])),
            field("source", "messages.content.source", Rule::Content),
            field("title", "messages.content.title", Rule::Content),
            field("content", "messages.content.content", Rule::List(&BLOCK)),
            field(
                "citations",
                "messages.content.citations",
                Rule::Object("messages.content.citations", CITING),
            ),
            field("cache_control", "messages.content.cache_control", CACHE_CONTROL)
                .asks(Capability::PromptCaching),
        ],
    ),
    (
        "image",
        &[
            field("type", "messages.content.type", Rule::OneOf(&["image"])),
            field("source", "messages.content.source", Rule::Refused).asks(Capability::Images),
            field("cache_control", "messages.content.cache_control", CACHE_CONTROL)
                .asks(Capability::PromptCaching),
        ],
    ),
];

static CITING: &[Field] =
    &[field("enabled", "messages.content.citations.enabled", Rule::Bool)
        .asks(Capability::Citations)];

static SOURCES: &[(&str, &[Field])] = &[
    (
        "text",
        &[
            field("type", "messages.content.source.type", Rule::OneOf(&["text"])),
            field("media_type", "messages.content.source.media_type", Rule::OneOf(&["text/plain"])),
            field("data", "messages.content.source.data", Rule::Content),
        ],
    ),
    (
        "content",
        &[
            field("type", "messages.content.source.type", Rule::OneOf(&["content"])),
            field(
                "content",
                "messages.content.source.content",
                Rule::Either(&[Rule::Content, Rule::List(&BLOCK)]),
            ),
        ],
    ),
    (
        "base64",
        &[
            field("type", "messages.content.source.type", Rule::OneOf(&["base64"])),
            field("data", "messages.content.source.data", Rule::Refused)
                .asks(Capability::Documents),
        ],
    ),
    (
        "url",
        &[
            field("type", "messages.content.source.type", Rule::OneOf(&["url"])),
            field("url", "messages.content.source.url", Rule::Refused).asks(Capability::WebFetch),
        ],
    ),
    (
        "file",
        &[
            field("type", "messages.content.source.type", Rule::OneOf(&["file"])),
            field("file_id", "messages.content.source.file_id", Rule::Refused)
                .asks(Capability::Files),
        ],
    ),
];
