// What the editor completes: tables of the chosen schema, and columns of those that the text names.
import { columns, tables } from './sql-queries.js';

const MOST_TABLES = 40; // whose columns are asked for

export class Completion {
  constructor(editor) {
    this.editor = editor;
    this.names = {};
    this.asked = new Set();
  }

  async choose(database, schema) {
    Object.assign(this, { database, schema, names: {}, asked: new Set() });
    this.editor.speak(database.backend, {});
    const found = await tables(database.id, schema);
    if (this.database !== database || this.schema !== schema) return;
    this.names = Object.fromEntries(found.map((table) => [table.value, []]));
    this.editor.speak(database.backend, this.names);
    await this.notice();
  }

  /** Asks for the columns of tables that stand in the text and are not known yet. */
  async notice() {
    const words = new Set(this.editor.text.toLowerCase().match(/[\p{L}\p{N}_$]+/gu) ?? []);
    const fresh = Object.keys(this.names).filter((name) => words.has(name.toLowerCase()) && !this.asked.has(name));
    const { database, schema } = this;
    const some = fresh.slice(0, MOST_TABLES - this.asked.size);
    some.forEach((name) => this.asked.add(name));
    const found = await Promise.all(some.map((name) => columns(database.id, schema, name).catch(() => [])));
    if (!some.length || this.database !== database || this.schema !== schema) return;
    some.forEach((name, index) => { this.names[name] = found[index].map((column) => column.name); });
    this.editor.speak(database.backend, { ...this.names });
  }
}
