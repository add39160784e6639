// Makes verify.html out of page.html, page.css, verify.mjs and page.mjs: node build-page.mjs [--check]
//
// A page that is opened as a file may not import a module that lies beside it, so its parts are put into it, each
// byte for byte: the style is page.css, the script is verify.mjs and then page.mjs. The page's policy names both by
// their SHA-256 and allows nothing else, no connection above all. Equal parts make an equal page; --check says
// whether the page that is there is that one.

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';

// The page lies where the program takes it from.
const PAGE = '../src/bundle/verify.html';
const here = (name) => new URL(name, import.meta.url);
const read = (name) => readFileSync(here(name), 'utf8');
const hash = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

const style = read('page.css');
const script = `\n${read('verify.mjs')}${read('page.mjs')}`;
if (script.includes('</script') || style.includes('</style')) throw new Error('a part ends its own element');

const policy = `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; base-uri 'none'; `
  + `form-action 'none'`;
const comment = `<!-- Made by build-page.mjs. The style is page.css; the script is verify.mjs, then page.mjs, byte for `
  + 'byte. -->';
const parts = { policy, comment, style, script };
const page = read('page.html').replace(/\{(policy|comment|style|script)\}/g, (_, name) => parts[name]);

if (!process.argv.includes('--check')) {
  writeFileSync(here(PAGE), page);
} else if (read(PAGE) !== page) {
  console.error('verify.html is not what build-page.mjs makes of its parts');
  process.exitCode = 1;
}
