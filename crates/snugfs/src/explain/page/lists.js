// The sections around the treemap: parts, changes, ways to make the image smaller, store paths, layout.
function legend(entries) {
  const list = make('ul', 'legend');
  for (const [kind, name, bytes] of entries) {
    const item = make('li');
    const dot = make('span', 'dot');
    colour(dot, kind);
    item.append(dot, make('span', '', name), make('span', 'soft num', size(bytes)));
    list.append(item);
  }
  return list;
}

function strip(className, segments, whole) {
  const track = make('div', className);
  track.setAttribute('role', 'img');
  track.setAttribute('aria-label', segments.map(([, name, bytes]) => `${name} ${size(bytes)}`).join(', '));
  for (const [kind, name, bytes] of segments) {
    const part = make('i');
    part.style.width = `${100 * bytes / whole}%`;
    part.title = `${name}, ${size(bytes)}`;
    colour(part, kind);
    track.append(part);
  }
  return track;
}

function drawParts() {
  const parts = data.parts.filter(([, , bytes]) => bytes > 0);
  document.getElementById('parts').append(strip('parts', parts, data.bytes), legend(parts));
}

// With a comparison: the legend of the colours, and the largest changes.
function drawChanges() {
  const { compare } = data;
  if (!compare) return;
  const legend = document.getElementById('changes');
  for (const [state, sign, text] of [
    ['grew', '+', 'larger or new'], ['shrank', '−', 'smaller'], ['same', '=', 'unchanged'],
  ]) {
    const item = make('li');
    item.append(make('b', `change ${state}`, sign), make('span', '', text));
    legend.append(item);
  }
  legend.append(make('li', 'soft', 'Files in a store path have the colour of the path.'));
  legend.hidden = false;
  const [, text] = changed(compare.bytes, data.bytes);
  document.getElementById('since').append(`Since ${compare.name}: `, make('b', 'num', text),
    `, from ${size(compare.bytes)} to ${size(data.bytes)}.`);
  const most = Math.max(1, ...compare.rows.map(([, before, after]) => Math.abs(after - before)));
  for (const [name, before, after, path] of compare.rows) {
    const [state, text] = changed(before, after);
    const item = make('li');
    const sign = make('span', 'num');
    sign.append(make('b', `change ${state}`, after === 0 ? `${text} removed` : text));
    const what = make('span');
    what.append(path >= 0 && byPath[path] ? link(byPath[path], name) : make('bdi', '', name));
    const bar = make('span', 'bar');
    bar.style.width = `${100 * Math.abs(after - before) / most}%`;
    item.append(sign, what, bar);
    document.getElementById('rows').append(item);
  }
  if (compare.rows.length === 0) document.getElementById('rows').append(make('li', 'soft', 'Nothing changed.'));
  document.getElementById('changed').hidden = false;
}

function drawSmaller() {
  const list = document.getElementById('smaller');
  const most = Math.max(1, ...data.smaller.map(([bytes]) => bytes));
  for (const [bytes, text, path] of data.smaller) {
    const item = make('li');
    const what = make('span');
    what.append(path >= 0 && byPath[path] ? link(byPath[path], text) : make('bdi', '', text));
    const bar = make('span', 'bar');
    bar.style.width = `${100 * bytes / most}%`;
    item.append(make('span', 'num', size(bytes)), what, bar);
    list.append(item);
  }
  if (data.smaller.length === 0) list.append(make('li', 'soft', 'No suggestions.'));
}

function drawPaths(most) {
  const body = document.getElementById('paths');
  const order = data.paths.map((_, path) => path).sort((a, b) => data.paths[b][1] - data.paths[a][1] || a - b);
  body.replaceChildren(...order.slice(0, most).map((path) => {
    const [, own, exclusive, , before, count] = data.paths[path];
    const line = make('tr');
    const name = make('td');
    name.append(pathLink(path));
    const by = make('td', 'wide');
    if (before >= 0) by.append(pathLink(before), count > 1 ? ` and ${count - 1} more` : '');
    else by.append(make('span', 'soft', 'none (a root)'));
    line.append(name, make('td', 'num', size(own)), make('td', 'num', size(exclusive)), by);
    return line;
  }));
  const more = document.getElementById('more');
  more.hidden = order.length <= most;
  more.textContent = `Show all ${order.length.toLocaleString('en-US')}`;
  document.getElementById('store').hidden = order.length === 0;
}

// One row per block group; neighbouring groups with the same single purpose share a row.
function groupRows(areas) {
  const rows = [];
  for (const [start, blocks, purpose] of areas) {
    for (let at = start; at < start + blocks;) {
      const group = Math.floor(at / data.groupBlocks);
      const end = Math.min(start + blocks, (group + 1) * data.groupBlocks);
      const last = rows[rows.length - 1];
      if (last && last.last === group) last.segments.push([purpose, end - at]);
      else rows.push({ first: group, last: group, segments: [[purpose, end - at]] });
      at = end;
    }
  }
  const merged = [];
  for (const one of rows) {
    const last = merged[merged.length - 1];
    const alike = last && last.segments.length === 1 && one.segments.length === 1 &&
      last.segments[0][0] === one.segments[0][0] && one.segments[0][1] === data.groupBlocks;
    if (alike && merged.length > 1) last.last = one.last;
    else merged.push(one);
  }
  return merged;
}

function drawGroups(home, { name, areas }) {
  const MOST = 200;
  const sums = new Map();
  for (const [, blocks, purpose] of areas) sums.set(purpose, (sums.get(purpose) || 0) + blocks * data.block);
  home.append(make('h3', 'soft', name));
  home.append(legend([...sums].map(([purpose, bytes]) => [data.purposes[purpose][0], data.purposes[purpose][1], bytes])));
  const list = make('div', 'groups');
  const rows = groupRows(areas);
  // The longest group has the whole width, even if all groups are short.
  const longest = Math.max(...rows.map(({ segments }) => segments.reduce((sum, [, blocks]) => sum + blocks, 0)));
  for (const { first, last, segments } of rows.slice(0, MOST)) {
    const line = make('div', 'group');
    line.append(make('span', 'num', first === last ? `group ${first}` : `${first}–${last}`));
    const shown = segments.map(([purpose, blocks]) => [...data.purposes[purpose], blocks * data.block]);
    line.append(strip('track', shown, longest * data.block));
    list.append(line);
  }
  if (rows.length > MOST) list.append(make('p', 'soft', `and ${counted(rows.length - MOST, 'more row')}`));
  home.append(list);
}

function drawLayout() {
  const home = document.getElementById('layout');
  if (data.disk.length > 0) home.append(strip('disk', data.disk, data.bytes), legend(data.disk));
  for (const system of data.systems) drawGroups(home, system);
}

document.getElementById('title').append(make('bdi', '', data.title));
document.getElementById('total').textContent = `${counted(data.bytes, 'byte')} (${size(data.bytes)})`;
document.getElementById('more').addEventListener('click', () => drawPaths(data.paths.length));
drawParts();
drawChanges();
drawSmaller();
drawPaths(15);
drawLayout();
fromHash();
