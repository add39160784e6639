// Checks an exported audit log from the command line: node verify-cli.mjs BUNDLE [--trust FILE] [--json]
//
// A thin wrapper of verify.mjs, for Node 20. Exit codes: 0 good, 1 bad, 2 could not be read.

import { openAsBlob } from 'node:fs';
import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Unreadable, inOrder, isOneRecord, untar, verify, verifyOneRecord } from './verify.mjs';

const MAX_DEPTH = 4;
const MAX_BYTES_IN_MEMORY = 1 << 30;

/** The plain files of a folder and of those in it, as [name, path] pairs. */
async function namesIn(folder, prefix = '', depth = 0) {
  const found = [];
  for (const entry of await readdir(join(folder, prefix), { withFileTypes: true })) {
    const name = `${prefix}${entry.name}`;
    if (entry.isDirectory() && depth < MAX_DEPTH) found.push(...await namesIn(folder, `${name}/`, depth + 1));
    else if (entry.isFile()) found.push([name, join(folder, name)]);
  }
  return found;
}

/** The bytes of a file, or a Blob over it when they are too many to hold. */
async function contentOf(path, size) {
  return size > MAX_BYTES_IN_MEMORY ? openAsBlob(path) : new Uint8Array(await readFile(path));
}

async function* opened(names) {
  for (const [name, path] of names) yield [name, await contentOf(path, (await stat(path)).size)];
}

export async function check(path, trustPath) {
  const trust = trustPath === undefined ? null
    : new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(await readFile(trustPath));
  const found = await stat(path);
  if (found.isDirectory()) return verify(opened(inOrder(await namesIn(path))), trust);
  const content = await contentOf(path, found.size);
  const { files, damage } = await untar(content);
  return (await isOneRecord(content) ? verifyOneRecord : verify)(files, trust, { damage });
}

/** Text of a bundle for a terminal: nothing in it may move the cursor or turn the reading order. */
const visible = (text) => String(text).replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '\ufffd');

/** What was looked at of a bundle, as rows. */
function rowsOfBundle(verdict) {
  const { exposure, pruned } = verdict;
  const kept = pruned?.keptFrom ? `; the oldest that was kept is of ${pruned.keptFrom}` : '';
  return [
    ['log', verdict.log], ['organisation', verdict.organisation], ['records', verdict.records],
    ['signed root', verdict.checkpointRoot], ['key', verdict.verifierKey],
    ['key known by', verdict.keySource ?? 'nothing: the signature does not hold'],
    ...verdict.earlierTrusted.map((size) => ['continues', `your checkpoint of ${size} records`]),
    ...(exposure ? [['exposure', `${exposure.seconds} s at the longest between a record (position ${exposure.at}) and `
      + 'the first stamp over it']] : []),
    ...(pruned ? [['pruned', `records 1 to ${pruned.records} pruned at ${pruned.at} under authority `
      + `"${pruned.authority}", hashes intact${kept}`]] : []),
    ...verdict.disposed.slice(-10).map(({ at, authority, payloads }) => ['disposed',
      `${payloads > 0 ? `${payloads} payload(s)` : 'payloads'} disposed at ${at} under authority "${authority}", `
      + 'commitment intact']),
  ];
}

const rowsOfOneRecord = ({ log, seq, time, leaf, checkpointSize: size }) => [['log', log], ['record', seq],
  ['says', time], ['leaf', leaf], ['under', size === null ? null : `a checkpoint of ${size} records`]];

function report(verdict) {
  const one = 'leaf' in verdict;
  const at = (problem) => (problem.at === null ? '' : `at position ${problem.at}: `);
  const rows = [
    ...(one ? rowsOfOneRecord(verdict) : rowsOfBundle(verdict)),
    ...verdict.stamps.slice(-3).map((it) => ['stamped', `${it.size} records by ${it.time}, says ${it.authority}`]),
    ...verdict.cosignatures.slice(-3).map((it) => ['witnessed', `${it.size} records by ${it.time}, saw ${it.witness}`]),
    ...verdict.warnings.map((words) => ['note', words]),
    ...verdict.problems.map((problem) => [problem.kind, at(problem) + problem.words]),
  ];
  for (const [name, value] of rows) console.log(`  ${name.padEnd(14)} ${visible(value ?? 'unknown')}`);
  const place = verdict.problems.find((problem) => problem.at !== null);
  const where = place ? `the first bad position is ${place.at}` : 'no single record is at fault';
  if (one && verdict.good) console.log('GOOD  the record is in the log');
  else if (one) console.log('BAD   this does not show that the record is in the log');
  else if (!verdict.good) console.log(`BAD   ${where}`);
  else console.log(`GOOD  ${verdict.records} records, unaltered since the checkpoint was signed`);
  if (verdict.good && verdict.keySource === 'bundle_only') {
    console.log('      Without --trust this shows that the bundle agrees with itself, not who made it.');
  }
}

/** Whether something could not be read, which is no fault of this program. */
export const isUnreadable = (error) => error instanceof Unreadable || error.code !== undefined;

async function main() {
  try {
    const options = { trust: { type: 'string' }, json: { type: 'boolean' } };
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    if (positionals.length !== 1) throw new Unreadable('usage: verify-cli.mjs BUNDLE [--trust FILE] [--json]');
    const verdict = await check(positionals[0], values.trust);
    if (values.json) console.log(JSON.stringify(verdict, null, 2));
    else report(verdict);
    process.exitCode = verdict.good ? 0 : 1;
  } catch (error) {
    console.error(`verify-cli.mjs: ${visible(isUnreadable(error) ? error.message : error.stack)}`);
    process.exitCode = 2;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
