// Opens the page in Chromium as a file, gives it bundles, and reads the verdict off it.
//
//     node browser_test.mjs PAGE (BUNDLE TRUST EXPECTED)... [--chromium PROGRAM] [--screens FOLDER]
//
// PAGE is verify.html. BUNDLE is a tar file or a folder, TRUST a file or `-`. EXPECTED is the state of the page and,
// of a bad bundle, what is told first: `good`, `itself`, `unreadable`, `bad`, `bad:format`, `bad:7:deleted`. With
// --screens, pictures of each verdict are put there, light and dark, wide and narrow. It needs Node 20 and Chromium,
// and speaks the DevTools protocol over a pipe. The exit code is 0, 1 when a verdict is another, or 2 when there is no
// browser or the whole takes longer than a minute.

import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const LIMIT_MS = 55_000;
const ANSWER_MS = 20_000;
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync', '--remote-debugging-pipe'];

/** A browser of its own, with a profile of its own, that ends with this process at the latest. */
class Browser {
  constructor(program) {
    this.profile = mkdtempSync(join(tmpdir(), 'verify-page-'));
    const stdio = ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'];
    this.process = spawn(program, [...FLAGS, `--user-data-dir=${this.profile}`, 'about:blank'], { stdio });
    Object.assign(this, { count: 0, waiting: new Map(), events: [], rest: Buffer.alloc(0) });
    this.process.stdio[4].on('data', (data) => this.take(data));
    // A pipe to a program that is not there, or no longer, has nobody at its end.
    this.process.stdio.slice(3).forEach((pipe) => pipe.on('error', () => {}));
    this.ended = new Promise((done) => {
      this.process.once('error', (error) => done(`${program} could not be started: ${error.message}`));
      this.process.once('exit', () => done(`${program} ended`));
    });
    // Whoever waits for an answer of a browser that is gone is told so.
    this.gone = this.ended.then((words) => { throw new Error(words); });
    this.gone.catch(() => {});
  }

  take(data) {
    this.rest = Buffer.concat([this.rest, data]);
    for (let end = this.rest.indexOf(0); end >= 0; end = this.rest.indexOf(0)) {
      const message = JSON.parse(this.rest.subarray(0, end).toString());
      this.rest = this.rest.subarray(end + 1);
      if (message.id === undefined) this.events.push(message);
      else this.waiting.get(message.id)?.(message);
    }
  }

  async send(method, params = {}, sessionId = this.session) {
    this.count += 1;
    const id = this.count;
    const answer = new Promise((done) => { this.waiting.set(id, done); });
    this.process.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    const { result, error } = await Promise.race([answer, this.gone]);
    if (error) throw new Error(`${method}: ${error.message}`);
    return result;
  }

  async evaluate(expression) {
    const options = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', options);
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description}`);
    return result.value;
  }

  /** Asks the page until it says something that counts as true. */
  async until(expression, limit = ANSWER_MS) {
    for (const end = Date.now() + limit; Date.now() < end;) {
      const value = await this.evaluate(expression);
      if (value) return value;
      await new Promise((done) => { setTimeout(done, 20); });
    }
    throw new Error(`the page never came to: ${expression}`);
  }

  async open() {
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank' }, undefined);
    this.session = (await this.send('Target.attachToTarget', { targetId, flatten: true }, undefined)).sessionId;
    for (const domain of ['Page', 'Runtime', 'DOM', 'Log', 'Network']) await this.send(`${domain}.enable`);
  }

  async setFile(id, path) {
    const { root } = await this.send('DOM.getDocument');
    const { nodeId } = await this.send('DOM.querySelector', { nodeId: root.nodeId, selector: `#${id}` });
    await this.send('DOM.setFileInputFiles', { nodeId, files: [resolve(path)] });
  }

  async key(key, code) {
    const pressed = { key, code: key, windowsVirtualKeyCode: code };
    const text = key === 'Enter' ? '\r' : undefined;
    await this.send('Input.dispatchKeyEvent', { type: 'keyDown', ...pressed, text });
    await this.send('Input.dispatchKeyEvent', { type: 'keyUp', ...pressed });
  }

  async close() {
    this.process.kill('SIGKILL');
    await this.ended;
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** What went wrong in the page, and what it asked of a network: both must be nothing. */
function complaints(events, page) {
  const requests = events.filter(({ method }) => method === 'Network.requestWillBeSent')
    .map(({ params }) => params.request.url);
  const errors = events.filter(({ method }) => ['Runtime.exceptionThrown', 'Log.entryAdded'].includes(method))
    .map(({ params }) => params.exceptionDetails?.exception?.description ?? params.entry?.text);
  return [...requests.filter((url) => url !== page), ...errors];
}

/** Checks a bundle in the page by the keyboard alone, but for the choice of files. */
async function checked(browser, page, bundle, trust) {
  const loaded = browser.events.length;
  await browser.send('Page.navigate', { url: page });
  await browser.until(`location.href === ${JSON.stringify(page)} && document.readyState === 'complete'`);
  await browser.setFile(statSync(bundle).isDirectory() ? 'folder' : 'tar', bundle);
  await browser.until(`!document.querySelector('#check').disabled`);
  if (trust !== '-') {
    await browser.setFile('trust-file', trust);
    await browser.until(`document.querySelector('#trust').value !== ''`);
  }
  for (let presses = 0; await browser.evaluate('document.activeElement.id') !== 'check'; presses += 1) {
    if (presses > 10) throw new Error('the button is not reached by the keyboard');
    await browser.key('Tab', 9);
  }
  await browser.key('Enter', 13);
  const state = await browser.until(`document.querySelector('#result').dataset.state`);
  const focus = await browser.evaluate('document.activeElement.id');
  if (focus !== 'verdict') throw new Error(`the focus is at ${focus} and not at the verdict`);
  const first = await browser.evaluate(`document.querySelector('.problems .place')?.textContent ?? ''`);
  const wrong = complaints(browser.events.slice(loaded), page);
  if (wrong.length > 0) throw new Error(`the page complained: ${wrong.join('; ')}`);
  const [kind, at] = first.split(', position ');
  return [state, at, kind || undefined].filter((part) => part !== undefined).join(':');
}

async function photograph(browser, folder, name) {
  mkdirSync(folder, { recursive: true });
  await browser.send('Emulation.setScrollbarsHidden', { hidden: true });
  for (const scheme of ['light', 'dark']) {
    await browser.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
    for (const [size, width] of [['wide', 1200], ['narrow', 380]]) {
      const metrics = { width, height: 900, deviceScaleFactor: 1, mobile: false };
      await browser.send('Emulation.setDeviceMetricsOverride', metrics);
      const root = 'document.documentElement';
      const overflow = await browser.evaluate(`${root}.scrollWidth > ${root}.clientWidth`);
      if (overflow) throw new Error(`${name}: the page is wider than ${width} pixels`);
      const { data } = await browser.send('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true });
      writeFileSync(join(folder, `${name}-${scheme}-${size}.png`), Buffer.from(data, 'base64'));
    }
  }
}

/** Whether what is on the page is what was expected; `bad` stands for every bad verdict. */
const agrees = (found, expected) => found === expected || found.startsWith(`${expected}:`);

async function main() {
  const options = { screens: { type: 'string' }, chromium: { type: 'string', default: 'chromium' } };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const [file, ...cases] = positionals;
  if (cases.length === 0 || cases.length % 3 !== 0) throw new Error('usage: PAGE (BUNDLE TRUST EXPECTED)...');
  const page = pathToFileURL(file).href;
  const browser = new Browser(values.chromium);
  const limit = setTimeout(() => browser.process.kill('SIGKILL'), LIMIT_MS);
  let differ = 0;
  try {
    await browser.open();
    for (let at = 0; at < cases.length; at += 3) {
      const [bundle, trust, expected] = cases.slice(at, at + 3);
      const begun = Date.now();
      const found = await checked(browser, page, bundle, trust);
      const said = agrees(found, expected) ? 'as expected' : `expected ${expected}`;
      console.log(`${said}: ${found}  ${bundle}  ${Date.now() - begun} ms`);
      differ += agrees(found, expected) ? 0 : 1;
      if (values.screens) await photograph(browser, values.screens, basename(bundle));
    }
  } finally {
    clearTimeout(limit);
    await browser.close();
  }
  console.log(`${cases.length / 3} pages, ${differ} with a difference`);
  return differ === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`browser_test.mjs: ${error.message}`);
  process.exitCode = 2;
}
