// A very small Markdown: headings, paragraphs, bullet and numbered lists, bold, italic, code, http(s) links.
// It builds DOM nodes; text can never become markup.
import { h } from './dom.js';

const INLINE = /\*\*(?<bold>[^*]+)\*\*|\*(?<star>[^*\s][^*]*)\*|\b_(?<italic>[^_]+)_\b|`(?<code>[^`]+)`|\[(?<label>[^\]]+)\]\((?<url>https?:\/\/[^\s)]+)\)/g;

function inline(text) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    nodes.push(text.slice(end, match.index), styled(match.groups));
    end = match.index + match[0].length;
  }
  nodes.push(text.slice(end));
  return nodes.filter((node) => node !== '');
}

function styled({ bold, star, italic, code, label, url }) {
  if (bold !== undefined) return h('strong', {}, inline(bold));
  if (code !== undefined) return h('code', {}, code);
  if (url !== undefined) return h('a', { href: url, rel: 'noopener noreferrer', target: '_blank' }, label);
  return h('em', {}, inline(star ?? italic));
}

function block(lines) {
  const heading = /^(#{1,4})\s+(.*)$/.exec(lines[0]);
  if (heading) {
    const rest = lines.slice(1);
    return [h(`h${Math.min(6, heading[1].length + 1)}`, {}, inline(heading[2])), ...(rest.length ? block(rest) : [])];
  }
  for (const [tag, bullet] of [['ul', /^\s*[-*+]\s+/], ['ol', /^\s*\d+[.)]\s+/]]) {
    if (lines.every((line) => bullet.test(line))) return [h(tag, {}, lines.map((line) => h('li', {}, inline(line.replace(bullet, '')))))];
  }
  const next = lines.findIndex((line, i) => i > 0 && /^(#{1,4}\s|\s*[-*+]\s|\s*\d+[.)]\s)/.test(line) && !sameKind(lines[i - 1], line));
  if (next > 0) return [...block(lines.slice(0, next)), ...block(lines.slice(next))];
  return [h('p', {}, inline(lines.join(' ')))];
}

function sameKind(a, b) {
  const kind = (line) => (/^\s*[-*+]\s/.test(line) ? 'ul' : /^\s*\d+[.)]\s/.test(line) ? 'ol' : 'text');
  return kind(a) === kind(b) && !b.startsWith('#');
}

/** The element that shows `text`. */
export function markdown(text) {
  const blocks = String(text).replaceAll('\r', '').split(/\n\s*\n/).map((part) => part.split('\n').filter((line) => line.trim() !== ''));
  return h('div', { class: 'markdown' }, blocks.filter((lines) => lines.length > 0).flatMap(block));
}
