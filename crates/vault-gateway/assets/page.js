// Shows the OpenAPI document as a page. Texts of the document become text nodes, never markup.
'use strict';

const METHODS = ['get', 'head', 'put', 'patch', 'delete', 'post'];
// What curl is told where it is not the method's name.
const OPTION = { get: '', head: '--head' };
let api;

// An element with these attributes and children; a child is an element or a text.
function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) made.setAttribute(key, value);
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

// What a reference leads to, else the value itself.
function resolved(value) {
  if (!value?.$ref) return value;
  return value.$ref.slice(2).split('/').reduce((at, part) => at[part], api);
}

const nameOf = (reference) => reference.split('/').pop();

// A line of the little Markdown that descriptions have: `code` and [text](https://…).
function line(text) {
  return text.split(/(`[^`]+`|\[[^\]]+\]\(https:[^)]+\))/).map((part) => {
    const link = part.match(/^\[([^\]]+)\]\((https:[^)]+)\)$/);
    if (link) return element('a', { href: link[2] }, link[1]);
    return part.startsWith('`') && part.length > 1 ? element('code', {}, part.slice(1, -1)) : part;
  });
}

// Paragraphs and lists, with an empty line between them.
function prose(text) {
  return (text ?? '').split(/\n\n+/).filter(Boolean).map((block) => {
    const lines = block.split('\n');
    if (!lines.every((it) => it.startsWith('- '))) return element('p', {}, line(block));
    return element('ul', {}, lines.map((it) => element('li', {}, line(it.slice(2)))));
  });
}

function table(label, heads, rows) {
  const head = element('thead', {}, element('tr', {}, heads.map((it) => element('th', { scope: 'col' }, it))));
  const body = element('tbody', {}, rows.map(([first, ...others]) =>
    element('tr', {}, element('th', { scope: 'row' }, first), others.map((it) => element('td', {}, it)))));
  return element('div', { class: 'wide', tabindex: '0', role: 'region', 'aria-label': label }, element('table', {}, head, body));
}

// A schema in a few words.
function kind(schema) {
  if (schema.$ref) return nameOf(schema.$ref);
  const type = [schema.type ?? 'any'].flat().join(' or ');
  const words = [type];
  if (schema.type === 'array') words.push(`of ${kind(schema.items)}`);
  if (schema.format) words.push(`(${schema.format})`);
  // The largest number of 64 bits is nothing that a reader needs.
  const most = schema.maximum > Number.MAX_SAFE_INTEGER ? undefined : schema.maximum;
  if (schema.minimum !== undefined) words.push(most === undefined ? `from ${schema.minimum}` : `${schema.minimum} to ${most}`);
  if (schema.maxItems !== undefined) words.push(`${schema.minItems ?? 0} to ${schema.maxItems}`);
  if (schema.uniqueItems) words.push('distinct');
  if (schema.maxLength !== undefined) words.push(`up to ${schema.maxLength} bytes`);
  if (schema.default !== undefined) words.push(`default ${schema.default}`);
  return words.join(', ').replace(', of ', ' of ').replace(', (', ' (');
}

const json = (value) => element('pre', { tabindex: '0' }, element('code', {}, JSON.stringify(value, null, 2)));

function parameters(operation) {
  const all = (operation.parameters ?? []).map(resolved);
  if (all.length === 0) return [];
  const rows = all.map((it) => [
    element('code', {}, it.name),
    it.required ? `${it.in}, required` : it.in,
    [...prose(it.description), element('span', { class: 'faint' }, kind(it.schema))],
  ]);
  return [element('h4', {}, 'Parameters'), table('Parameters', ['Name', 'In', 'What it is'], rows)];
}

// The media type, the schema and its example, for each content.
function contents(content) {
  return Object.entries(content ?? {}).map(([media, it]) => {
    const schema = resolved(it.schema);
    const name = element('a', { href: `#schema-${nameOf(it.schema.$ref)}` }, nameOf(it.schema.$ref));
    return { media, name, example: schema.examples?.[0] };
  });
}

function body(operation) {
  return contents(operation.requestBody?.content).flatMap(({ media, name, example }) => [
    element('h4', {}, 'Body'),
    element('p', {}, element('code', {}, media), ': ', name),
    json(example),
  ]);
}

function answers(operation) {
  const rows = Object.entries(operation.responses).map(([status, it]) => {
    const answer = resolved(it);
    const common = ['Cache-Control', 'Vary', 'X-Content-Type-Options', 'X-Request-Id'];
    const headers = Object.keys(answer.headers ?? {}).filter((name) => !common.includes(name));
    const shown = contents(answer.content).filter(({ media }) => media === 'application/json');
    return [
      status,
      [
        ...prose(answer.description),
        ...shown.flatMap(({ name, example }) => [element('p', {}, 'Body: ', name), json(example)]),
        headers.length ? element('p', { class: 'faint' }, 'Headers: ', headers.join(', ')) : null,
      ],
    ];
  });
  const isGood = ([status]) => status < '400';
  return [
    element('h4', {}, 'Answers'),
    table('Answers', ['Status', 'When'], rows.filter(isGood)),
    element('details', {}, element('summary', {}, 'Refusals'),
      table('Refusals', ['Status', 'Problem, and what makes it'], rows.filter((row) => !isGood(row)))),
  ];
}

// A call as it is typed in a shell.
function curl(path, method, operation) {
  const all = (operation.parameters ?? []).map(resolved);
  const concrete = all.filter((it) => it.in === 'path').reduce((at, it) => at.replace(`{${it.name}}`, it.example), path);
  const lines = [['curl', OPTION[method] ?? `-X ${method.toUpperCase()}`, `"https://$GATEWAY${concrete}"`].filter(Boolean).join(' ')];
  lines.push('-H "Authorization: Bearer $TOKEN"');
  for (const { media, example } of contents(operation.requestBody?.content)) {
    lines.push(`-H 'Content-Type: ${media}'`, `-d '${JSON.stringify(example)}'`);
  }
  return [element('h4', {}, 'Example'), element('pre', { tabindex: '0' }, element('code', {}, lines.join(' \\\n  ')))];
}

function operationOf(path, method, operation) {
  const id = operation.operationId;
  return element('article', { id, 'aria-labelledby': `${id}-title`, 'data-operation': `${method.toUpperCase()} ${path}` },
    element('h3', { id: `${id}-title` }, element('a', { href: `#${id}` }, operation.summary)),
    element('p', { class: 'call' }, element('span', { class: `method ${method}` }, method.toUpperCase()), element('code', {}, path)),
    prose(operation.description),
    parameters(operation), body(operation), answers(operation), curl(path, method, operation));
}

function section(id, title, ...children) {
  return element('section', { id, 'aria-labelledby': `${id}-title` },
    element('h2', { id: `${id}-title` }, element('a', { href: `#${id}` }, title)), ...children);
}

function start() {
  return element('section', { id: 'about' },
    element('h1', {}, api.info.title), prose(api.info.description));
}

function authentication() {
  const scheme = Object.values(api.components.securitySchemes)[0];
  const call = 'export GATEWAY=gateway.example:8443 TOKEN="$(cat /var/run/secrets/token)"\n'
    + 'curl "https://$GATEWAY/vault/list" \\\n  -H "Authorization: Bearer $TOKEN"';
  return section('authentication', 'Authentication', prose(scheme.description),
    element('pre', { tabindex: '0' }, element('code', {}, call)));
}

function problems() {
  const rows = api['x-problems'].map((it) => [
    element('code', { id: `problem-${it.type.split(':').pop()}` }, it.type.split(':').pop()),
    String(it.status), `${it.title}.`, it.remedy,
  ]);
  const example = { type: 'urn:vault-gateway:not-found', title: 'Nothing is there', status: 404,
    detail: 'There is no such secret.', instance: 'urn:uuid:7b0c9a4e-5d1f-4c3a-9b2e-0f6d8a1c2b3e' };
  return section('problems', 'Problems',
    element('p', {}, 'A refusal has the media type ', element('code', {}, 'application/problem+json'),
      '. Its type is ', element('code', {}, 'urn:vault-gateway:'), ' and a word of this table.'),
    json(example),
    table('Problems', ['Word', 'Status', 'What it is', 'What to do'], rows));
}

function schemas() {
  const shown = Object.entries(api.components.schemas).map(([name, schema]) => {
    const isRequired = (key) => schema.required?.includes(key);
    const rows = Object.entries(schema.properties ?? {}).map(([key, it]) => [
      element('code', {}, key),
      isRequired(key) ? 'always' : 'sometimes',
      [...prose(it.description), element('span', { class: 'faint' }, kind(it))],
    ]);
    return element('article', { id: `schema-${name}` },
      element('h3', {}, element('a', { href: `#schema-${name}` }, name)), prose(schema.description),
      rows.length ? table(name, ['Member', 'There', 'What it is'], rows) : null,
      schema.examples ? json(schema.examples[0]) : null);
  });
  return section('schemas', 'Bodies', shown);
}

function main() {
  const groups = api.tags.map((tag) => {
    const found = Object.entries(api.paths).flatMap(([path, item]) =>
      METHODS.filter((method) => item[method]?.tags.includes(tag.name)).map((method) => [path, method, item[method]]));
    return { tag, found };
  });
  const sections = groups.map(({ tag, found }) =>
    section(`tag-${tag.name}`, title(tag.name), prose(tag.description), found.map((it) => operationOf(...it))));
  const entry = (href, ...children) => element('li', {}, element('a', { href }, ...children));
  const contentsOf = groups.flatMap(({ tag, found }) => [
    element('p', {}, title(tag.name)),
    element('ul', {}, found.map(([path, method, it]) => entry(`#${it.operationId}`,
      element('span', { class: `method ${method}` }, method.toUpperCase()), element('span', {}, short(path))))),
  ]);
  document.getElementById('version').textContent = api.info.version;
  document.getElementById('contents').append(
    element('ul', {}, entry('#about', 'About'), entry('#authentication', 'Authentication')),
    ...contentsOf,
    element('ul', {}, entry('#problems', 'Problems'), entry('#schemas', 'Bodies')));
  document.getElementById('state').replaceWith(start(), authentication(), ...sections, problems(), schemas());
  // The place that the address names was not there when the page was loaded.
  if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

const title = (word) => word[0].toUpperCase() + word.slice(1);
const short = (path) => path.replace('/vault/', '');

fetch('openapi.json')
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`the answer is ${answer.status}`))))
  .then((document) => {
    api = document;
    main();
  })
  .catch((error) => {
    document.getElementById('state').textContent = `The description cannot be shown: ${error.message}.`;
    console.error(error);
  });
