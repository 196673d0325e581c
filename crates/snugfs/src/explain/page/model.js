'use strict';
// The data of the page: nodes with parents, sizes and kinds; store paths; areas of blocks.
const data = JSON.parse(document.getElementById('data').textContent);
const KINDS = data.kinds;
// `before` is the size of a node in the older image, if known.
const nodes = data.nodes.map(([parent, name, bytes, kind, path, before], id) => ({
  id, parent, name, bytes, kind: KINDS[kind], path: path === undefined ? -1 : path, before, children: [],
}));
for (const node of nodes) {
  if (node.id > 0) nodes[node.parent].children.push(node);
}
for (const node of nodes) {
  node.children = node.children.filter((child) => child.bytes > 0)
    .sort((a, b) => b.bytes - a.bytes || a.id - b.id);
}
const byPath = [];
for (const node of nodes) {
  if (node.path >= 0) byPath[node.path] = node;
}

function size(bytes) {
  for (const [unit, name] of [[2 ** 40, 'TiB'], [2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [2 ** 10, 'KiB']]) {
    if (bytes >= unit) return `${(bytes / unit).toFixed(1)} ${name}`;
  }
  return `${bytes} bytes`;
}

// Rounded down, as in the tables: only the whole is 100 %.
function percent(part, whole) {
  const tenths = whole > 0 ? Math.floor(1000 * part / whole) : 0;
  return `${(tenths / 10).toFixed(1)} %`;
}

// The change of a size: a class for the colour, and text with a sign.
function changed(before, after) {
  if (before === 0 && after > 0) return ['grew', `+${size(after)} new`];
  if (after > before) return ['grew', `+${size(after - before)}`];
  if (after < before) return ['shrank', `−${size(before - after)}`];
  return ['same', '='];
}

function counted(count, noun) {
  return `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`;
}

// A node and its ancestors, from the image down.
function lineage(node) {
  const line = [node];
  while (line[0].id > 0) line.unshift(nodes[line[0].parent]);
  return line;
}

// The path of a file or directory in the image; for the rest, its name.
function fullName(node) {
  const names = [];
  let at = node;
  for (; at.kind === 'file' || at.kind === 'directory'; at = nodes[at.parent]) names.unshift(at.name);
  if (at.kind === 'storePath') names.unshift(data.paths[at.path][0]);
  else if (names.length) names.unshift('');
  return names.length ? names.join('/') : node.name;
}

// The children of a node; chains of single directories are skipped.
function contents(node) {
  let at = node;
  while (at.children.length === 1 && at.children[0].children.length > 0) at = at.children[0];
  return at.children;
}

// Makes an element. Text is never parsed as HTML.
function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function colour(element, kind) {
  if (kind === 'free') element.classList.add('free');
  else element.style.background = `var(--${kind}, var(--other))`;
}
