// Squarified treemap: rows of rectangles that are as square as possible (Bruls, Huizing, van Wijk, 2000).
function squarify(items, x, y, width, height) {
  const placed = [];
  const total = items.reduce((sum, item) => sum + item.bytes, 0);
  if (total <= 0 || width <= 0 || height <= 0) return placed;
  const scale = width * height / total;
  let start = 0;
  while (start < items.length) {
    const side = Math.min(width, height);
    let end = start;
    let area = 0;
    let worst = Infinity;
    while (end < items.length) {
      const next = area + items[end].bytes * scale;
      const thick = next / side;
      const first = items[start].bytes * scale / thick;
      const last = items[end].bytes * scale / thick;
      const ratio = Math.max(first / thick, thick / last, thick / first, last / thick);
      if (ratio > worst) break;
      worst = ratio;
      area = next;
      end += 1;
    }
    const thick = area / side;
    let along = 0;
    for (const item of items.slice(start, end)) {
      const length = item.bytes * scale / thick;
      placed.push(width >= height
        ? { item, x, y: y + along, width: thick, height: length }
        : { item, x: x + along, y, width: length, height: thick });
      along += length;
    }
    if (width >= height) { x += thick; width -= thick; } else { y += thick; height -= thick; }
    start = end;
  }
  return placed;
}

const LABEL = 18;
// Boxes that are not wider have no label, because of a name only a few letters would fit. If they are high, it is upright.
const NARROW = 52;
const SIGNS = { grew: '+', shrank: '−' };
const LEVELS = 2;
// Kinds that have the colours of the legend.
const KIND_COLOURS = new Set([
  'journal', 'inodeTables', 'bitmaps', 'superblocks', 'groupDescriptors', 'growthReserve', 'beyondGroups',
]);
let room = 0;

// Every store path and every top directory outside the store has its own colour, which its contents share.
function hue(node) {
  const isTop = nodes[node.parent].kind === 'otherFiles' || nodes[node.parent].kind === 'partition';
  if (node.kind === 'storePath' || (isTop && (node.kind === 'directory' || node.kind === 'file'))) {
    let hash = 7;
    for (const letter of node.name) hash = (hash * 31 + letter.codePointAt(0)) % 9973;
    return 150 + hash % 150;
  }
  return { storePaths: 208, otherFiles: 38, partition: 208 }[node.kind];
}

// The colour of a node, or of its nearest ancestor that has one.
function inheritedHue(node) {
  return lineage(node).map(hue).filter((own) => own !== undefined).pop();
}

// The change of a node, or of its nearest ancestor with a known change.
function inheritedChange(node) {
  const known = lineage(node).filter((one) => one.before !== undefined).pop();
  return known ? changed(known.before, known.bytes)[0] : 'same';
}

// `levels` is the number of levels to draw inside. A level with nearly one child only does not count.
function cell(node, place, depth, levels, inherited, inheritedState) {
  const element = make(depth === 0 ? 'button' : 'span', 'cell');
  const own = hue(node);
  const shade = own === undefined ? inherited : own;
  const change = node.before === undefined ? undefined : changed(node.before, node.bytes);
  const state = change ? change[0] : inheritedState;
  if (data.compare) element.classList.add(state);
  else if (KIND_COLOURS.has(node.kind)) {
    element.classList.add('kind');
    element.style.setProperty('--kind', `var(--${node.kind})`);
  } else if (shade === undefined) element.classList.add('plain');
  else element.style.setProperty('--hue', shade);
  if (node.kind === 'free') element.classList.add('free');
  Object.assign(element.style, {
    left: `${place.x}px`, top: `${place.y}px`, width: `${place.width}px`, height: `${place.height}px`,
  });
  element.dataset.node = node.id;
  const isTall = place.width <= NARROW && place.height > 3 * NARROW && place.width > 15;
  if ((place.width > NARROW && place.height > 15) || isTall) {
    const label = element.appendChild(make('span', isTall ? 'label tall' : 'label'));
    if (change && change[0] !== 'same') label.append(make('span', 'sign', SIGNS[change[0]]), ' ');
    label.append(make('bdi', depth === 0 ? 'name' : '', node.name), ' ');
    if (change) label.append(make('b', 'num', change[1]), ' ');
    label.append(make('span', 'num', size(node.bytes)));
  }
  const inside = { width: place.width - 6, height: place.height - LABEL - 5 };
  if (levels > 0 && !isTall && inside.width > 16 && inside.height > 12 && node.children.length > 0 && room > 0) {
    for (const part of squarify(contents(node), 2, LABEL, inside.width, inside.height)) {
      if (part.width < 3 || part.height < 3 || room <= 0) continue;
      room -= 1;
      const counts = part.item.bytes < 0.9 * node.bytes ? 1 : 0;
      element.append(cell(part.item, part, depth + 1, levels - counts, shade, state));
    }
  }
  return element;
}

// Draws the children of a node, and returns the cells by size.
function drawMap(map, node) {
  room = 1600;
  map.replaceChildren();
  const shown = node.children.length > 0 ? contents(node) : [node];
  const cells = [];
  for (const place of squarify(shown, 0, 0, map.clientWidth, map.clientHeight)) {
    if (place.width < 1 || place.height < 1) continue;
    const element = cell(place.item, place, 0, LEVELS, inheritedHue(node), inheritedChange(node));
    const share = percent(place.item.bytes, node.bytes);
    const { name, bytes, before } = place.item;
    const change = before === undefined ? '' : `, ${changed(before, bytes)[1]}`;
    element.setAttribute('aria-label', `${name}, ${size(bytes)}, ${share}${change}`);
    element.tabIndex = -1;
    element.type = 'button';
    map.append(element);
    cells.push({ element, node: place.item, x: place.x + place.width / 2, y: place.y + place.height / 2 });
  }
  if (cells.length > 0) cells[0].element.tabIndex = 0;
  return cells;
}
