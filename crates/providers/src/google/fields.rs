//! Every field of a `generateContent` request, and what becomes of it.

use crate::schema::{Field, MAX_TOKENS, Rule, field};
use gate::terms::Capability;

pub(crate) static GENERATE: Rule = Rule::Object("the request", GENERATE_FIELDS);

static GENERATE_FIELDS: &[Field] = &[
    field("contents", "contents", Rule::List(&TURN)),
    field("systemInstruction", "systemInstruction", TURN_RULE),
    field("tools", "tools", Rule::List(&Rule::Object("tools", TOOLS))),
    field("toolConfig", "toolConfig", Rule::Object("toolConfig", TOOL_CONFIG)),
    field("safetySettings", "safetySettings", Rule::List(&Rule::Object("safetySettings", SAFETY))),
    field("generationConfig", "generationConfig", Rule::Object("generationConfig", GENERATION)),
    field("cachedContent", "cachedContent", Rule::Refused).asks(Capability::CachedContent),
    field("labels", "labels", Rule::Tree),
    field("modelArmorConfig", "modelArmorConfig", Rule::Refused).asks(Capability::Guardrails),
    field("store", "store", Rule::Refused).asks(Capability::StoredAnswers),
];

/// Choices of one answer: the dialect's own limit is 8.
const MAX_CANDIDATES: u64 = 8;

static TURN: Rule = TURN_RULE;

const TURN_RULE: Rule = Rule::Object("contents", TURN_FIELDS);

static TURN_FIELDS: &[Field] = &[
    field("role", "contents.role", Rule::OneOf(&["user", "model", "function", "system"])),
    field("parts", "contents.parts", Rule::List(&Rule::Object("contents.parts", PART))),
];

/// Images, sound and files need a scanner of their own, so they are not carried.
static PART: &[Field] = &[
    field("text", "contents.parts.text", Rule::Content),
    field("thought", "contents.parts.thought", Rule::Bool),
    field("thoughtSignature", "contents.parts.thoughtSignature", Rule::Signed),
    field(
        "functionCall",
        "contents.parts.functionCall",
        Rule::Object("contents.parts.functionCall", CALL),
    ),
    field(
        "functionResponse",
        "contents.parts.functionResponse",
        Rule::Object("contents.parts.functionResponse", RESPONSE),
    ),
    field("inlineData", "contents.parts.inlineData", Rule::Refused).asks(Capability::Images),
    field("fileData", "contents.parts.fileData", Rule::Refused).asks(Capability::Files),
    field("executableCode", "contents.parts.executableCode", Rule::Refused)
        .asks(Capability::CodeExecution),
    field("codeExecutionResult", "contents.parts.codeExecutionResult", Rule::Refused)
        .asks(Capability::CodeExecution),
];

static CALL: &[Field] = &[
    field("id", "contents.parts.functionCall.id", Rule::Content),
    field("name", "contents.parts.functionCall.name", Rule::Content),
    field("args", "contents.parts.functionCall.args", Rule::Tree),
];

static RESPONSE: &[Field] = &[
    field("id", "contents.parts.functionResponse.id", Rule::Content),
    field("name", "contents.parts.functionResponse.name", Rule::Content),
    field("response", "contents.parts.functionResponse.response", Rule::Tree),
];

/// Tools that the model server would run itself reach further than the path that was checked.
static TOOLS: &[Field] = &[
    field(
        "functionDeclarations",
        "tools.functionDeclarations",
        Rule::List(&Rule::Object("tools.functionDeclarations", FUNCTION)),
    ),
    field("googleSearch", "tools.googleSearch", Rule::Refused).asks(Capability::WebSearch),
    field("googleSearchRetrieval", "tools.googleSearchRetrieval", Rule::Refused)
        .asks(Capability::WebSearch),
    field("codeExecution", "tools.codeExecution", Rule::Refused).asks(Capability::CodeExecution),
    field("urlContext", "tools.urlContext", Rule::Refused).asks(Capability::WebFetch),
    field("retrieval", "tools.retrieval", Rule::Refused).asks(Capability::Retrieval),
    field("computerUse", "tools.computerUse", Rule::Refused).asks(Capability::ComputerUse),
    field("enterpriseWebSearch", "tools.enterpriseWebSearch", Rule::Refused)
        .asks(Capability::WebSearch),
    field("fileSearch", "tools.fileSearch", Rule::Refused).asks(Capability::FileSearch),
    field("googleMaps", "tools.googleMaps", Rule::Refused).asks(Capability::WebSearch),
    field("mcpServers", "tools.mcpServers", Rule::Refused).asks(Capability::Mcp),
];

static FUNCTION: &[Field] = &[
    field("name", "tools.functionDeclarations.name", Rule::Content),
    field("description", "tools.functionDeclarations.description", Rule::Content),
    field("parameters", "tools.functionDeclarations.parameters", Rule::Tree),
    field("parametersJsonSchema", "tools.functionDeclarations.parametersJsonSchema", Rule::Tree),
    field("response", "tools.functionDeclarations.response", Rule::Tree),
    field("responseJsonSchema", "tools.functionDeclarations.responseJsonSchema", Rule::Tree),
];

static TOOL_CONFIG: &[Field] = &[field(
    "functionCallingConfig",
    "toolConfig.functionCallingConfig",
    Rule::Object("toolConfig.functionCallingConfig", CALLING),
)];

static CALLING: &[Field] = &[
    field("mode", "toolConfig.mode", Rule::OneOf(&["AUTO", "ANY", "NONE", "VALIDATED"])),
    field("allowedFunctionNames", "toolConfig.allowedFunctionNames", Rule::List(&Rule::Content)),
];

static SAFETY: &[Field] = &[
    field(
        "category",
        "safetySettings.category",
        Rule::OneOf(&[
            "HARM_CATEGORY_HARASSMENT",
            "HARM_CATEGORY_HATE_SPEECH",
            "HARM_CATEGORY_SEXUALLY_EXPLICIT",
            "HARM_CATEGORY_DANGEROUS_CONTENT",
            "HARM_CATEGORY_CIVIC_INTEGRITY",
        ]),
    ),
    field(
        "threshold",
        "safetySettings.threshold",
        Rule::OneOf(&[
            "BLOCK_LOW_AND_ABOVE",
            "BLOCK_MEDIUM_AND_ABOVE",
            "BLOCK_ONLY_HIGH",
            "BLOCK_NONE",
            "OFF",
        ]),
    ),
];

static GENERATION: &[Field] = &[
    field("candidateCount", "generationConfig.candidateCount", Rule::Count(MAX_CANDIDATES)),
    field("frequencyPenalty", "generationConfig.frequencyPenalty", Rule::Ratio),
    field("logprobs", "generationConfig.logprobs", Rule::Count(MAX_TOKENS)),
    field("maxOutputTokens", "generationConfig.maxOutputTokens", Rule::Count(MAX_TOKENS)),
    field("presencePenalty", "generationConfig.presencePenalty", Rule::Ratio),
    field("responseJsonSchema", "generationConfig.responseJsonSchema", Rule::Tree)
        .asks(Capability::StructuredOutputs),
    field("responseLogprobs", "generationConfig.responseLogprobs", Rule::Bool),
    field(
        "responseMimeType",
        "generationConfig.responseMimeType",
        Rule::OneOf(&["text/plain", "application/json"]),
    ),
    field(
        "responseModalities",
        "generationConfig.responseModalities",
        Rule::List(&Rule::OneOf(&["TEXT"])),
    ),
    field("responseSchema", "generationConfig.responseSchema", Rule::Tree)
        .asks(Capability::StructuredOutputs),
    field("seed", "generationConfig.seed", Rule::AnyNumber),
    field("stopSequences", "generationConfig.stopSequences", Rule::List(&Rule::Content)),
    field("temperature", "generationConfig.temperature", Rule::Ratio),
    field(
        "thinkingConfig",
        "generationConfig.thinkingConfig",
        Rule::Object("generationConfig.thinkingConfig", THINKING),
    ),
    field("topK", "generationConfig.topK", Rule::Count(MAX_TOKENS)),
    field("topP", "generationConfig.topP", Rule::Ratio),
];

static THINKING: &[Field] = &[
    field("includeThoughts", "thinkingConfig.includeThoughts", Rule::Bool)
        .asks(Capability::ExtendedThinking),
    field("thinkingBudget", "thinkingConfig.thinkingBudget", Rule::Count(MAX_TOKENS))
        .asks(Capability::ExtendedThinking),
    field(
        "thinkingLevel",
        "thinkingConfig.thinkingLevel",
        Rule::OneOf(&["MINIMAL", "LOW", "MEDIUM", "HIGH", "minimal", "low", "medium", "high"]),
    )
    .asks(Capability::ExtendedThinking),
];
