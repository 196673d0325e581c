// The view: the open node, and the description of the selected one.
const map = document.getElementById('map');
const about = document.getElementById('about');
let open = nodes[0];
let cells = [];

function link(node, text) {
  const button = make('button', 'link');
  button.append(make('bdi', '', text === undefined ? node.name : text));
  button.addEventListener('click', () => { go(node); map.parentElement.scrollIntoView({ block: 'nearest' }); });
  return button;
}

function pathLink(path) {
  const node = byPath[path];
  const whole = data.paths[path][0];
  const name = whole.slice(whole.lastIndexOf('/') + 34);
  if (node) return link(node, name);
  return make('bdi', '', name);
}

// Opens a node. A node without children is selected in its parent.
function go(node, focus) {
  const target = node.children.length > 0 ? node : nodes[node.parent];
  open = target;
  draw();
  const found = node === target ? undefined : cells.find((found) => found.node === node);
  if (found) choose(found, focus);
  else if (focus && cells.length > 0) choose(cells[0], true, target);
  const hash = `#${node.id}`;
  if (location.hash !== hash) history.pushState(null, '', hash);
  describe(node);
}

function choose(found, focus, described) {
  for (const { element } of cells) element.tabIndex = -1;
  found.element.tabIndex = 0;
  if (focus) found.element.focus({ preventScroll: true });
  describe(described || found.node);
}

function draw() {
  const crumbs = document.getElementById('crumbs');
  crumbs.replaceChildren(...lineage(open).map((node) => {
    const item = make('li');
    if (node === open) {
      const here = make('span');
      here.setAttribute('aria-current', 'location');
      here.append(make('bdi', '', node.name), ' ', make('span', 'soft num', size(node.bytes)));
      item.append(here);
    } else item.append(link(node));
    return item;
  }));
  cells = drawMap(map, open);
}

function row(list, name, ...values) {
  const value = make('dd');
  value.append(...values);
  list.append(make('dt', '', name), value);
}

function describe(node) {
  about.replaceChildren();
  const head = make('p');
  head.append(make('bdi', '', fullName(node)), ' ',
    make('b', 'num', size(node.bytes)), ' ', make('span', 'soft num', `${percent(node.bytes, data.bytes)} of the image`));
  about.append(head);
  if (node.before !== undefined) {
    const [state, text] = changed(node.before, node.bytes);
    const was = node.before > 0 ? `, was ${size(node.before)}` : '';
    const line = make('p');
    line.append(make('b', `change ${state}`, text), ` since ${data.compare.name}${was}`);
    about.append(line);
  }
  const note = data.notes[node.kind];
  if (note) about.append(make('p', 'soft', note));
  const holder = lineage(node).find((one) => one.kind === 'storePath');
  if (!holder) return;
  const [base, own, exclusive, referrers, before] = data.paths[holder.path];
  const list = make('dl');
  if (holder !== node) row(list, 'In', link(holder, base));
  const itself = holder !== node && holder.before !== undefined
    ? `${size(own)} (${changed(holder.before, holder.bytes)[1]} since ${data.compare.name})` : size(own);
  row(list, 'Itself', itself);
  row(list, 'Exclusive', `${size(exclusive)} would leave with it`);
  const way = make('span', 'way');
  const steps = [];
  for (let at = before; at >= 0 && steps.length < 60; at = data.paths[at][4]) steps.unshift(at);
  way.append(...steps.map((step) => pathLink(step)));
  row(list, 'Referred to by', ...(steps.length > 0 ? [way] : ['no other path: it is a root']));
  if (referrers.length > 1) {
    const all = make('span', 'way-by');
    referrers.slice(0, 12).forEach((path, index) => all.append(index > 0 ? ', ' : '', pathLink(path)));
    const [, , , , , count] = data.paths[holder.path];
    if (count > 12) all.append(` and ${count - 12} more`);
    row(list, 'All that refer to it', all);
  }
  about.append(list);
}

// The cell that is nearest in a direction.
function neighbour(from, dx, dy) {
  let best;
  let least = Infinity;
  for (const other of cells) {
    const along = (other.x - from.x) * dx + (other.y - from.y) * dy;
    const aside = Math.abs((other.x - from.x) * dy) + Math.abs((other.y - from.y) * dx);
    const distance = along + 2 * aside;
    if (along > 0.5 && distance < least) { best = other; least = distance; }
  }
  return best;
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

map.addEventListener('keydown', (event) => {
  const from = cells.find(({ element }) => element === document.activeElement);
  const arrow = ARROWS[event.key];
  if (!from || event.altKey || event.ctrlKey || event.metaKey) return;
  if (arrow) {
    const next = neighbour(from, ...arrow);
    if (next) choose(next, true);
  } else if (event.key === 'Escape' || event.key === 'Backspace') up();
  else if (event.key === 'Home') go(nodes[0], true);
  else return;
  event.preventDefault();
});

function up() {
  if (open.id === 0) return;
  let left = open;
  let home = nodes[open.parent];
  // Chains of single directories are skipped, as when going down.
  while (home.id > 0 && home.children.length === 1) { left = home; home = nodes[home.parent]; }
  go(home, false);
  const found = cells.find(({ node }) => node === left);
  if (found) choose(found, true);
}

map.addEventListener('click', (event) => {
  // A click opens one level, even if it hits a box further inside.
  const target = event.target.closest('.map > [data-node]');
  if (target) go(nodes[target.dataset.node], event.detail === 0);
});
map.addEventListener('focusin', (event) => {
  const found = cells.find(({ element }) => element === event.target);
  if (found) choose(found, false);
});
// Highlights only the innermost box under the pointer.
function light(element) {
  for (const lit of map.querySelectorAll('.lit')) lit.classList.remove('lit');
  if (element) element.classList.add('lit');
}

map.addEventListener('pointerover', (event) => {
  const target = event.target.closest('[data-node]');
  if (!target || event.pointerType !== 'mouse') return;
  light(target);
  describe(nodes[target.dataset.node]);
});
map.addEventListener('pointerleave', () => { light(); describe(open); });

function fromHash() {
  const id = Number(location.hash.slice(1));
  const node = Number.isInteger(id) && nodes[id] ? nodes[id] : nodes[data.start];
  go(node);
}
window.addEventListener('popstate', fromHash);
window.addEventListener('hashchange', fromHash);
window.addEventListener('resize', draw);
