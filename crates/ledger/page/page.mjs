
// ---- The page -------------------------------------------------------------------------------------------------

const MAX_ROWS = 50;
const element = (id) => document.getElementById(id);
let chosen = null;

/** Text of a bundle for a page: nothing in it may turn the reading order. */
const visible = (value) => String(value).replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '\ufffd');

/** An element with text or children. Text is always set as text, so nothing of a bundle becomes markup. */
function make(tag, children, attributes = {}) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...[children].flat().map((child) => (child instanceof Node ? child : visible(child))));
  return made;
}

/** The first part of a path is the folder itself, which is no part of the names in a bundle. */
const withoutFolder = (path) => path.split('/').slice(1).join('/');

function choose(what, open) {
  chosen = open;
  element('chosen').textContent = visible(what);
  element('check').disabled = false;
}

function chooseTar(file) {
  const opened = async () => ({ ...await untar(file), one: await isOneRecord(file) });
  choose(`${file.name}, ${file.size.toLocaleString('en')} bytes`, opened);
}

function chooseFolder(files) {
  choose(`A folder with ${many(files.length, 'file')}`, () => ({ files: inOrder(files), damage: null, one: false }));
}

/** The plain files of a dropped folder, as [path, file] pairs. */
async function filesIn(entry) {
  if (entry.isFile) return [[entry.fullPath.slice(1), await new Promise((done, failed) => entry.file(done, failed))]];
  const found = [];
  const reader = entry.createReader();
  for (;;) {
    const entries = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (entries.length === 0) return found;
    for (const inner of entries) found.push(...await filesIn(inner));
  }
}

async function dropped(event) {
  event.preventDefault();
  element('drop').classList.remove('over');
  const entry = event.dataTransfer.items[0]?.webkitGetAsEntry();
  const [file] = event.dataTransfer.files;
  if (entry?.isDirectory) chooseFolder((await filesIn(entry)).map(([path, inner]) => [withoutFolder(path), inner]));
  else if (file) chooseTar(file);
}

/** Draws how far the check is, and lets the page answer meanwhile. */
async function progress(part) {
  element('progress').value = part;
  await new Promise((done) => { setTimeout(done); });
}

async function check(event) {
  event.preventDefault();
  element('check').disabled = true;
  element('progress').hidden = false;
  element('progress').value = 0;
  try {
    const trust = element('trust').value.trim() === '' ? null : element('trust').value;
    const { files, damage, one } = await chosen();
    if (one) showOneRecord(await verifyOneRecord(files, trust, { damage }));
    else show(await verify(files, trust, { damage, progress }));
  } catch (error) {
    showUnreadable(error);
  }
  element('progress').hidden = true;
  element('check').disabled = false;
}

function announce(state, headline, meaning, details) {
  const result = element('result');
  result.dataset.state = state;
  result.hidden = false;
  element('verdict').textContent = headline;
  element('meaning').textContent = meaning;
  element('details').replaceChildren(...details.filter(Boolean));
  element('verdict').focus();
}

function showUnreadable(error) {
  const expected = error instanceof Unreadable;
  const words = `${expected ? '' : 'The check itself stopped, which is no verdict: '}${visible(error.message)}.`;
  announce('unreadable', 'Not checked', words.charAt(0).toUpperCase() + words.slice(1), []);
}

const count = (number) => number.toLocaleString('en');

/** So many of something: `1 record`, `2 records`. */
const many = (number, noun) => `${count(number)} ${noun}${number === 1 ? '' : 's'}`;

/** A span of time in its two largest units. */
function span(seconds) {
  const units = [['day', 86_400], ['hour', 3600], ['minute', 60], ['second', 1]];
  const first = units.findIndex(([, length]) => seconds >= length);
  if (first < 0) return 'less than a second';
  let rest = seconds;
  const parts = units.slice(first, first + 2).map(([unit, length]) => {
    const number = Math.floor(rest / length);
    rest -= number * length;
    return number === 0 ? '' : many(number, unit);
  });
  return parts.filter(Boolean).join(' and ');
}

function show(verdict) {
  const first = verdict.problems.find((problem) => problem.at !== null);
  const details = [problems(verdict), warnings(verdict), stamps(verdict), witnesses(verdict), disposals(verdict),
    facts(verdict)];
  if (!verdict.good) {
    const place = first ? `the first bad position is ${count(first.at)}` : 'no single record is at fault';
    announce('bad', `Bad: ${place}`, 'Do not rely on this export. What is wrong is listed below.', details);
  } else if (verdict.keySource === 'bundle_only') {
    announce('itself', `It agrees with itself: ${many(verdict.records, 'record')}`, 'You gave no key and no earlier '
      + 'checkpoint, so this does not show who made it. Get the log\u2019s key from somewhere else and check again.',
    details);
  } else {
    const by = { trusted: 'The signature is by a key that you trust, and every record is under it.',
      earlier_checkpoint: 'The records continue a checkpoint that you trust, and are signed by the same key.' };
    announce('good', `Good: ${many(verdict.records, 'record')}, unaltered since the checkpoint was signed`,
      by[verdict.keySource], details);
  }
}

function showOneRecord(verdict) {
  const details = [problems(verdict), warnings(verdict), stamps(verdict), witnesses(verdict),
    factsOfOneRecord(verdict)];
  if (!verdict.good) {
    announce('bad', 'Bad: this does not show that the record is in the log', 'What is wrong is listed below.', details);
  } else if (!verdict.keyTrusted) {
    announce('itself', 'It agrees with itself: the record is in the log', 'You gave no key, so this does not show '
      + 'whose log it is. Get the log\u2019s key from somewhere else and check again.', details);
  } else {
    announce('good', 'Good: the record is in the log', 'The checkpoint over it is signed by a key that you trust. '
      + 'Compare the leaf with the one that your receipt names.', details);
  }
}

function problems({ problems: found, moreProblems = 0 }) {
  if (found.length === 0) return null;
  const items = found.map(({ at, kind, words }) => make('li', [
    make('span', at === null ? kind : `${kind}, position ${count(at)}`, { class: 'place' }), `: ${words}`]));
  if (moreProblems > 0) items.push(make('li', `and ${count(moreProblems)} more`));
  return make('div', [make('h3', 'What is wrong'), make('ul', items, { class: 'list problems' })]);
}

function warnings({ warnings: found }) {
  if (found.length === 0) return null;
  const items = found.map((words) => make('li', words));
  return make('div', [make('h3', 'Worth knowing'), make('ul', items, { class: 'list warnings' })]);
}

function table(title, note, head, rows) {
  const label = { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': title };
  const header = make('thead', make('tr', head.map((name) => make('th', name, { scope: 'col' }))));
  const body = make('tbody', rows.slice(-MAX_ROWS).map((row) => make('tr', row.map((cell) => make('td', cell)))));
  const more = rows.length > MAX_ROWS ? [make('p', `The last ${MAX_ROWS} of ${count(rows.length)} are shown.`)] : [];
  return make('div', [make('h3', title), ...note, ...more, make('div', make('table', [header, body]), label)]);
}

/** A moment for people, to the second; the title has all of it. */
const moment = (text) => make('time', `${text.slice(0, 19).replace('T', ' ')} UTC`, { title: text });

function stamps({ stamps: found, exposure, records }) {
  if (found.length === 0) return null;
  const without = Math.max((records ?? 0) - found.at(-1).size, 0);
  const uncovered = without === 0 ? '' : ` Without a stamp: the newest ${many(without, 'record')}.`;
  const note = exposure ? [make('p', `Exposure: ${span(exposure.seconds)} at the longest, from the record at position `
    + `${count(exposure.at)} to the first stamp over it. Until then it could have been written anew by whoever holds `
    + `the keys and the database.${uncovered}`)] : [];
  const spread = (accuracy) => (accuracy === null ? 'not stated' : `${accuracy / 1e6} s`);
  const head = ['Records', 'There by', 'Within', 'Says', 'Its certificate ends'];
  const ends = (stamp) => stamp.certificateEnds.slice(0, 10);
  return table('Time stamps by authorities that you trust', note, head,
    found.map((it) => [count(it.size), moment(it.time), spread(it.accuracy), it.authority, ends(it)]));
}

function witnesses({ cosignatures: found }) {
  if (found.length === 0) return null;
  return table('Witnesses that you trust', [], ['Records', 'Seen by', 'Witness'],
    found.map((it) => [count(it.size), moment(it.time), it.witness]));
}

function disposals({ disposed: found }) {
  if (found.length === 0) return null;
  const note = [make('p', 'What the records commit to is intact. Payloads are counted where the export claims to hold '
    + 'all that was not disposed of.')];
  return table('Content disposed of', note, ['Position', 'Payloads', 'Under authority'],
    found.map((it) => [count(it.at), it.payloads === 0 ? '' : count(it.payloads), it.authority]));
}

/** Names and values; those that are not known are left out. */
function described(pairs) {
  const known = pairs.filter(([, value]) => value !== null);
  return make('div', [make('h3', 'What was checked'),
    make('dl', known.flatMap(([name, value]) => [make('dt', name), make('dd', value)]))]);
}

const checkedBy = (verdict) => ['Signatures',
  verdict.signaturesChecked ? 'checked by this browser' : 'NOT checked: this browser cannot'];

const factsOfOneRecord = (verdict) => described([
  ['Log', verdict.log], ['Record', verdict.seq === null ? null : `at position ${count(verdict.seq)}`],
  ['Says', verdict.time && moment(verdict.time)], ['Leaf', verdict.leaf],
  ['Under', verdict.checkpointSize === null ? null : `a checkpoint of ${many(verdict.checkpointSize, 'record')}`],
  checkedBy(verdict),
]);

const KEY_SOURCES = {
  trusted: 'what you trust', earlier_checkpoint: 'your earlier checkpoint', bundle_only: 'this export only',
};

function facts(verdict) {
  const { intents, outcomes, openIntents, blobs, earlierTrusted, pruned } = verdict;
  const exchanges = `${many(intents, 'intent')}, ${many(outcomes, 'outcome')}, ${count(openIntents)} open`;
  const content = blobs === 0 ? 'not in this export; the records hold digests of it' : many(blobs, 'sealed file');
  const gone = pruned && `positions 1 to ${count(pruned.records)}, as the record at ${count(pruned.at)} says, under `
    + `authority "${pruned.authority}"; their hashes are here`;
  const sizes = earlierTrusted.map(count).join(', ');
  return described([
    ['Organisation', verdict.organisation], ['Log', verdict.log], ['Records', count(verdict.records)],
    ['Pruned', gone],
    ['First record', verdict.first && moment(verdict.first)], ['Latest time', verdict.last && moment(verdict.last)],
    ['Exchanges', exchanges], ['Content', content],
    ['Continues', sizes === '' ? null : `your earlier checkpoints of ${sizes} records`],
    ['Signed root', verdict.checkpointRoot], ['Key', verdict.verifierKey],
    ['Key known by', KEY_SOURCES[verdict.keySource] ?? 'nothing: the signature does not hold'],
    checkedBy(verdict),
  ]);
}

element('tar').addEventListener('change', ({ target }) => target.files[0] && chooseTar(target.files[0]));
element('folder').addEventListener('change', ({ target }) => {
  const files = [...target.files].map((file) => [withoutFolder(file.webkitRelativePath), file]);
  if (files.length > 0) chooseFolder(files);
});
element('trust-file').addEventListener('change', async ({ target }) => {
  const source = decoded(new Uint8Array(await target.files[0]?.arrayBuffer() ?? []));
  element('trust').value = source ?? '';
  if (source === null) showUnreadable(new Unreadable('the trust file is not UTF-8'));
});
element('drop').addEventListener('dragover', (event) => {
  event.preventDefault();
  element('drop').classList.add('over');
});
element('drop').addEventListener('dragleave', () => element('drop').classList.remove('over'));
element('drop').addEventListener('drop', dropped);
element('form').addEventListener('submit', check);
