//! Every field of a Converse request, and what becomes of it.

use crate::schema::{Field, MAX_TOKENS, Rule, field};
use gate::terms::Capability;

pub(crate) static CONVERSE: Rule = Rule::Object("the request", CONVERSE_FIELDS);

static CONVERSE_FIELDS: &[Field] = &[
    field("messages", "messages", Rule::List(&TURN)),
    field("system", "system", Rule::List(&BLOCK)),
    field("inferenceConfig", "inferenceConfig", Rule::Object("inferenceConfig", INFERENCE)),
    field("toolConfig", "toolConfig", Rule::Object("toolConfig", TOOL_CONFIG)),
    field("additionalModelRequestFields", "additionalModelRequestFields", Rule::Tree)
        .asks(Capability::AdditionalModelFields),
    field(
        "additionalModelResponseFieldPaths",
        "additionalModelResponseFieldPaths",
        Rule::List(&Rule::Content),
    ),
    field("guardrailConfig", "guardrailConfig", Rule::Refused).asks(Capability::Guardrails),
    field("outputConfig", "outputConfig", Rule::Tree).asks(Capability::StructuredOutputs),
    field("performanceConfig", "performanceConfig", Rule::Object("performanceConfig", PERFORMANCE)),
    field("promptVariables", "promptVariables", Rule::Refused).asks(Capability::StoredPrompts),
    field("requestMetadata", "requestMetadata", Rule::Tree),
];

static INFERENCE: &[Field] = &[
    field("maxTokens", "inferenceConfig.maxTokens", Rule::Count(MAX_TOKENS)),
    field("temperature", "inferenceConfig.temperature", Rule::Ratio),
    field("topP", "inferenceConfig.topP", Rule::Ratio),
    field("stopSequences", "inferenceConfig.stopSequences", Rule::List(&Rule::Content)),
];

static PERFORMANCE: &[Field] =
    &[field("latency", "performanceConfig.latency", Rule::OneOf(&["standard", "optimized"]))];

static TOOL_CONFIG: &[Field] = &[
    field("tools", "toolConfig.tools", Rule::List(&Rule::Object("toolConfig.tools", TOOL))),
    field(
        "toolChoice",
        "toolConfig.toolChoice",
        Rule::Object("toolConfig.toolChoice", TOOL_CHOICE),
    ),
];

static TOOL: &[Field] = &[
    field(
        "toolSpec",
        "toolConfig.tools.toolSpec",
        Rule::Object("toolConfig.tools.toolSpec", TOOL_SPEC),
    ),
    field("cachePoint", "toolConfig.tools.cachePoint", CACHE_POINT).asks(Capability::PromptCaching),
    field("systemTool", "toolConfig.tools.systemTool", Rule::Refused)
        .asks(Capability::CodeExecution),
];

static TOOL_SPEC: &[Field] = &[
    field("name", "toolConfig.tools.name", Rule::Content),
    field("description", "toolConfig.tools.description", Rule::Content),
    field(
        "inputSchema",
        "toolConfig.tools.inputSchema",
        Rule::Object("toolConfig.tools.inputSchema", INPUT_SCHEMA),
    ),
    field("strict", "toolConfig.tools.strict", Rule::Bool).asks(Capability::StructuredOutputs),
];

static INPUT_SCHEMA: &[Field] = &[field("json", "toolConfig.tools.inputSchema.json", Rule::Tree)];

const EMPTY: Rule = Rule::Object("toolConfig.toolChoice", &[]);

static TOOL_CHOICE: &[Field] = &[
    field("auto", "toolConfig.toolChoice.auto", EMPTY),
    field("any", "toolConfig.toolChoice.any", EMPTY),
    field("tool", "toolConfig.toolChoice.tool", Rule::Object("toolConfig.toolChoice.tool", CHOSEN)),
];

static CHOSEN: &[Field] = &[field("name", "toolConfig.toolChoice.tool.name", Rule::Content)];

const CACHE_POINT: Rule = Rule::Object("cachePoint", CACHE_POINT_FIELDS);

static CACHE_POINT_FIELDS: &[Field] = &[
    field("type", "cachePoint.type", Rule::OneOf(&["default"])),
    field("ttl", "cachePoint.ttl", Rule::OneOf(&["5m", "1h"])),
];

static TURN: Rule = Rule::Object("messages", TURN_FIELDS);

static TURN_FIELDS: &[Field] = &[
    field("role", "messages.role", Rule::OneOf(&["user", "assistant"])),
    field("content", "messages.content", Rule::List(&BLOCK)),
];

static BLOCK: Rule = Rule::Object("messages.content", BLOCK_FIELDS);

/// Images, videos and documents need a scanner of their own, so they are not carried.
static BLOCK_FIELDS: &[Field] = &[
    field("text", "messages.content.text", Rule::Content),
    field(
        "toolUse",
        "messages.content.toolUse",
        Rule::Object("messages.content.toolUse", TOOL_USE),
    ),
    field(
        "toolResult",
        "messages.content.toolResult",
        Rule::Object("messages.content.toolResult", TOOL_RESULT),
    ),
    field(
        "reasoningContent",
        "messages.content.reasoningContent",
        Rule::Object("messages.content.reasoningContent", REASONING),
    ),
    field("cachePoint", "messages.content.cachePoint", CACHE_POINT).asks(Capability::PromptCaching),
    field("image", "messages.content.image", Rule::Refused).asks(Capability::Images),
    field("document", "messages.content.document", Rule::Refused).asks(Capability::Documents),
    field("video", "messages.content.video", Rule::Refused).asks(Capability::Video),
    field("audio", "messages.content.audio", Rule::Refused).asks(Capability::Audio),
    field("guardContent", "messages.content.guardContent", Rule::Refused)
        .asks(Capability::Guardrails),
    field("citationsContent", "messages.content.citationsContent", Rule::Tree),
    field("searchResult", "messages.content.searchResult", Rule::Refused)
        .asks(Capability::Citations),
];

static TOOL_USE: &[Field] = &[
    field("toolUseId", "messages.content.toolUse.toolUseId", Rule::Content),
    field("name", "messages.content.toolUse.name", Rule::Content),
    field("input", "messages.content.toolUse.input", Rule::Tree),
    field("type", "messages.content.toolUse.type", Rule::Refused).asks(Capability::CodeExecution),
];

static TOOL_RESULT: &[Field] = &[
    field("toolUseId", "messages.content.toolResult.toolUseId", Rule::Content),
    field("content", "messages.content.toolResult.content", Rule::List(&RESULT)),
    field("status", "messages.content.toolResult.status", Rule::OneOf(&["success", "error"])),
    field("type", "messages.content.toolResult.type", Rule::Refused)
        .asks(Capability::CodeExecution),
];

static RESULT: Rule = Rule::Object("messages.content.toolResult.content", RESULT_FIELDS);

static RESULT_FIELDS: &[Field] = &[
    field("text", "messages.content.toolResult.content.text", Rule::Content),
    field("json", "messages.content.toolResult.content.json", Rule::Tree),
    field("image", "messages.content.toolResult.content.image", Rule::Refused)
        .asks(Capability::Images),
    field("document", "messages.content.toolResult.content.document", Rule::Refused)
        .asks(Capability::Documents),
    field("video", "messages.content.toolResult.content.video", Rule::Refused)
        .asks(Capability::Video),
];

static REASONING: &[Field] = &[
    field(
        "reasoningText",
        "messages.content.reasoningContent.reasoningText",
        Rule::Object("messages.content.reasoningContent.reasoningText", REASONING_TEXT),
    ),
    field("redactedContent", "messages.content.reasoningContent.redactedContent", Rule::Signed),
];

static REASONING_TEXT: &[Field] = &[
    field("text", "messages.content.reasoningContent.text", Rule::Signed),
    field("signature", "messages.content.reasoningContent.signature", Rule::Signed),
];
