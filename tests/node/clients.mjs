// Drives the official packages for Node, unchanged, against a running server.
//
//     node clients.mjs MODULES FILE
//
// MODULES is the folder in which they are installed. FILE and what is printed are as in
// tests/python/clients.py.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [modules, file] = process.argv.slice(2);
const require = createRequire(join(modules, "package.json"));
const { default: OpenAI } = require("openai");
const { default: Anthropic } = require("@anthropic-ai/sdk");
const told = JSON.parse(readFileSync(file, "utf8"));

const SURROGATE = /\[[A-Z][A-Z_]*_[0-9A-Z]{8}\]/g;
const parameters = { type: "object", properties: { note: { type: "string" } }, required: ["note"] };
const tool = { name: "keep_note", description: "Keeps a note." };
let failed = 0;

function check(name, holds, why = "") {
  failed += holds ? 0 : 1;
  // One form for all scripts: the runner looks for it.
  const more = holds ? "" : `, "why": ${JSON.stringify(String(why).slice(0, 2000))}`;
  console.log(`{"check": ${JSON.stringify(name)}, "ok": ${Boolean(holds)}${more}}`);
}

function whole(name, text) {
  const missing = told.values.filter((value) => !String(text).includes(value));
  const left = String(text).match(SURROGATE) ?? [];
  check(name, missing.length === 0 && left.length === 0, `missing ${missing}, surrogates ${left} in ${text}`);
}

async function attempt(name, work) {
  try {
    await work(name);
  } catch (error) {
    check(name, false, error.stack);
  }
}

async function refused(name, kind, code, work) {
  try {
    await work();
    check(name, false, "it was not refused");
  } catch (error) {
    check(name, error instanceof kind && JSON.stringify(error.error).includes(code), error.stack);
    const repeated = told.values.filter((value) => String(error.message).includes(value));
    check(`${name} repeats nothing`, repeated.length === 0, repeated);
  }
}

const options = { apiKey: told.key, maxRetries: 0, timeout: 30_000 };
const openai = new OpenAI({ baseURL: `${told.base}/v1`, ...options });
const anthropic = new Anthropic({ baseURL: told.base, ...options });
const question = { role: "user", content: told.prompt };

async function chat(name, model) {
  const body = { model, messages: [question] };
  const { data, response } = await openai.chat.completions.create(body).withResponse();
  check(`${name} receipt`, response.headers.get("x-bulla-receipt")?.includes("#"));
  whole(name, data.choices[0].message.content);
  let text = "";
  for await (const chunk of await openai.chat.completions.create({ ...body, stream: true })) {
    text += chunk.choices[0]?.delta?.content ?? "";
  }
  whole(`${name} stream`, text);
  const tools = [{ type: "function", function: { ...tool, parameters } }];
  const called = await openai.chat.completions.stream({ ...body, tools }).finalChatCompletion();
  whole(`${name} tool`, JSON.parse(called.choices[0].message.tool_calls[0].function.arguments).note);
}

async function responses(name, model) {
  const body = { model, input: told.prompt };
  whole(name, (await openai.responses.create(body)).output_text);
  let deltas = "";
  const stream = openai.responses.stream(body);
  for await (const event of stream) {
    deltas += event.type === "response.output_text.delta" ? event.delta : "";
  }
  whole(`${name} deltas`, deltas);
  check(`${name} final`, (await stream.finalResponse()).output_text === deltas);
}

// Three turns by ids alone, had again, listed page by page, and withdrawn.
async function kept(name, model) {
  const body = { model, input: told.prompt };
  const first = await openai.responses.create(body);
  const second = await openai.responses.stream({ ...body, previous_response_id: first.id }).finalResponse();
  whole(`${name} second`, second.output_text);
  const third = await openai.responses.create({ ...body, previous_response_id: second.id });
  whole(`${name} third`, third.output_text);
  const again = await openai.responses.retrieve(third.id);
  check(`${name} again`, again.output_text === third.output_text && again.previous_response_id === second.id);
  const roles = [];
  for await (const item of openai.responses.inputItems.list(third.id, { limit: 2, order: "asc" })) {
    roles.push(item.role);
  }
  check(`${name} items`, roles.join() === "user,assistant,user,assistant,user", roles.join());
  await openai.responses.delete(third.id);
  const gone = await openai.responses.retrieve(third.id).catch((error) => error);
  check(`${name} withdrawn`, gone instanceof OpenAI.NotFoundError, String(gone));
}

async function messages(name, model) {
  const body = { model, max_tokens: 4096, messages: [question] };
  const { data, response } = await anthropic.messages.create(body).withResponse();
  check(`${name} receipt`, response.headers.get("x-bulla-receipt")?.includes("#"));
  whole(name, data.content[0].text);
  const final = await anthropic.messages.stream(body).finalMessage();
  whole(`${name} stream`, final.content[0].text);
  const tools = [{ ...tool, input_schema: parameters }];
  const called = await anthropic.messages.stream({ ...body, tools }).finalMessage();
  whole(`${name} tool`, called.content.find((block) => block.type === "tool_use").input.note);
}

for (const model of told.models) {
  await attempt(`node chat to ${model}`, (name) => chat(name, model));
  await attempt(`node responses to ${model}`, (name) => responses(name, model));
  await attempt(`node kept responses to ${model}`, (name) => kept(name, model));
  await attempt(`node messages to ${model}`, (name) => messages(name, model));
}
await attempt("node count_tokens", async (name) => {
  const counted = await anthropic.messages.countTokens({ model: "anthropic", messages: [question] });
  check(name, counted.input_tokens > 0, JSON.stringify(counted));
});
await attempt("node embeddings", async (name) => {
  const numbers = await openai.embeddings.create({ model: "openai", input: told.prompt, dimensions: 8 });
  check(name, numbers.data[0].embedding.length === 8);
});
await attempt("node models", async (name) => {
  const listed = [];
  for await (const model of openai.models.list()) listed.push(model.id);
  check(name, told.models.every((model) => listed.includes(model)), listed);
});
const unknown = { model: "no-such-model", messages: [question] };
const field = { model: "openai", messages: [question], patient: told.prompt };
await refused("node openai model", OpenAI.NotFoundError, "model_not_found", () =>
  openai.chat.completions.create(unknown),
);
await refused("node openai field", OpenAI.BadRequestError, "unsupported_content", () =>
  openai.chat.completions.create(field),
);
await refused("node anthropic model", Anthropic.NotFoundError, "model_not_found", () =>
  anthropic.messages.create({ max_tokens: 64, ...unknown }),
);
await refused("node anthropic key", Anthropic.AuthenticationError, "invalid_api_key", () =>
  new Anthropic({ baseURL: told.base, ...options, apiKey: "bulla_wrong" }).messages.create({
    model: "anthropic",
    max_tokens: 64,
    messages: [question],
  }),
);
process.exit(failed ? 1 : 0);
