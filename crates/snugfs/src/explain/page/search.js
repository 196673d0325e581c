// The search: the largest nodes whose paths contain all words.
const find = document.getElementById('find');
const hits = document.getElementById('hits');
const HITS = 40;
const MOST_HITS = 4000;

function search() {
  const words = find.value.toLowerCase().split(/\s+/).filter((word) => word);
  hits.hidden = words.length === 0;
  if (words.length === 0) return;
  const found = [];
  for (const node of nodes) {
    if (node.kind === 'folded' || node.id === 0) continue;
    // Names are checked first; the whole path is only built if the name contains one of the words.
    const name = node.name.toLowerCase();
    if (!words.some((word) => name.includes(word))) continue;
    const full = fullName(node).toLowerCase();
    if (words.every((word) => full.includes(word))) found.push(node);
    if (found.length >= MOST_HITS) break;
  }
  found.sort((a, b) => b.bytes - a.bytes || a.id - b.id);
  hits.replaceChildren(...found.slice(0, HITS).map((node) => {
    const button = make('button');
    const name = make('span');
    name.append(make('bdi', '', node.name));
    const full = fullName(node);
    if (full !== node.name) name.append(make('small', '', full));
    button.append(name, make('span', 'num', size(node.bytes)));
    button.addEventListener('click', () => { done(); go(node, true); });
    const item = make('li');
    item.append(button);
    return item;
  }));
  if (found.length === 0) hits.append(make('li', 'soft', 'No match. Small files are not listed.'));
}

function done() {
  find.value = '';
  hits.hidden = true;
}

find.addEventListener('input', search);
document.addEventListener('keydown', (event) => {
  const typing = event.target.tagName === 'INPUT';
  if (event.key === '/' && !typing) { find.focus(); event.preventDefault(); }
  if (!event.target.closest('.find')) return;
  const buttons = [...hits.querySelectorAll('button')];
  const at = buttons.indexOf(document.activeElement);
  if (event.key === 'ArrowDown' && buttons.length > 0) buttons[Math.min(at + 1, buttons.length - 1)].focus();
  else if (event.key === 'ArrowUp') (at > 0 ? buttons[at - 1] : find).focus();
  else if (event.key === 'Enter' && typing && buttons.length > 0) buttons[0].click();
  else if (event.key === 'Escape') { done(); find.focus(); } else return;
  event.preventDefault();
});
document.addEventListener('pointerdown', (event) => {
  if (!event.target.closest('.find')) hits.hidden = true;
});
