// Checks bundles for corpus_test.py, many in one process: a line [BUNDLE, TRUST or null] in, the verdict in a line out,
// or `null` where the bundle or the trust file could not be read.

import { createInterface } from 'node:readline';
import { check, isUnreadable } from '../../crates/ledger/page/verify-cli.mjs';

for await (const line of createInterface({ input: process.stdin })) {
  const [bundle, trust] = JSON.parse(line);
  const verdict = await check(bundle, trust ?? undefined).catch((error) => {
    if (isUnreadable(error)) return null;
    throw error;
  });
  console.log(JSON.stringify(verdict));
}
